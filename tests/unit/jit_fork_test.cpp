// The front door in forked children.
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "streamattn/jit.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/forward_case.h"

using namespace streamattn;

namespace {

const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 8},
                        .shape = {.kv_heads = 2, .q_len = 70, .kv_len = 50}};

bool launches_right(const ForwardKernel& kernel) {
  const ForwardTensors tensors(given);
  kernel.launch(tensors.args());
  const Errors errors = errors_of(given.problem, tensors.args(), all_rows(tensors.args()));
  return errors.ok();
}

}  // namespace

TEST_CASE("a forked child uses its parent's kernels and asks its parent's Jit for others") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  const Jit jit = Jit::create({.target = "cpu"});
  const ForwardKernel& kernel = jit.forward(given.problem, given.shape);
  CHECK(launches_right(kernel));
  CHECK(exit_code_of_child([&] {
          if (!launches_right(kernel)) return 1;
          if (!launches_right(jit.forward(given.problem, given.shape))) return 2;
          std::exit(0);
          return 3;
        }) == 0);
}

TEST_CASE("a child forked while other threads ask and launch neither waits nor fails") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  const Jit jit = Jit::create({.target = "cpu"});
  std::atomic<bool> done = false;
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user) {
    users.emplace_back([&, user] {
      for (int length = user; !done; length += 3) {
        Shape shape = given.shape;
        shape.q_len = length;  // a new request every time
        launches_right(jit.forward(given.problem, shape));
      }
    });
  }
  for (int child = 0; child < 30; ++child) {
    CHECK(exit_code_of_child([&] {
            return launches_right(jit.forward(given.problem, given.shape)) ? 0 : 1;
          }) == 0);
  }
  done = true;
  for (std::thread& user : users) user.join();
}
