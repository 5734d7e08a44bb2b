// Makes one file system call of this program fail.
#pragma once

namespace streamattn {

/// Makes the `call`th file system call from now on fail with `error`, then no other.
void arm_fault(int call, int error);

/// Ends that. Returns whether the fault happened.
bool disarm_fault();

}  // namespace streamattn
