// The error that a call throws, to be looked at.
#pragma once

#include "streamattn/error.h"
#include "tests/support/catch.h"

namespace streamattn {

/// Calls `call`, which must throw Error, and returns that.
template <class Call>
Error thrown_error(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error was thrown");
  throw;  // not reached: FAIL throws
}

}  // namespace streamattn
