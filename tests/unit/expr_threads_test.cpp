// Expressions of several threads: equal ones are one node, whoever makes and drops them.
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/random_expr.h"

using namespace streamattn;
using namespace streamattn::expr_names;

namespace {

constexpr int thread_count = 4;

/// Runs `body` in some threads until `done` says so, and joins them.
class Threads {
 public:
  template <class Body>
  explicit Threads(const Body& body) {
    for (int i = 0; i < thread_count; i++)
      threads_.emplace_back([this, body, i] {
        while (!is_over_) body(i);
      });
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop(); }

  void stop() {
    is_over_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  std::atomic<bool> is_over_ = false;
  std::vector<std::thread> threads_;
};

std::vector<Expr> many(std::uint64_t seed) {
  RandomExprs exprs(seed, {.depth = 3});
  std::vector<Expr> made;
  for (int i = 0; i < 30; i++)
    made.push_back(i % 2 == 0 ? exprs.mask().expr() : exprs.score().expr());
  return made;
}

}  // namespace

TEST_CASE("threads that make and drop the same expressions get the same ones") {
  std::atomic<int> rounds = 0, different = 0;
  Threads threads([&](int thread) {
    // All of them make these, now and then at the same time, and drop them at once.
    const std::uint64_t seed = static_cast<std::uint64_t>(rounds / 8);
    const std::vector<Expr> made = many(seed), again = many(seed);
    for (std::size_t i = 0; i < made.size(); i++) {
      const ExprRole role = made[i].type() == ExprType::real ? ExprRole::score : ExprRole::mask;
      const bool is_same =
          made[i].same_as(again[i]) && Expr::parse(made[i].text(), role).same_as(made[i]);
      different += is_same ? 0 : 1;
    }
    rounds += thread >= 0 ? 1 : 0;
  });
  while (rounds < 400) std::this_thread::yield();
  threads.stop();
  CHECK(different == 0);
}

TEST_CASE("an expression may be dropped by a thread that did not make it") {
  std::atomic<int> rounds = 0, different = 0;
  std::atomic<std::shared_ptr<const Expr>> handed;
  Threads threads([&](int thread) {
    const Expr mine = k < scalar("n" + std::to_string(rounds % 3)) && prefix(3);
    const auto other = handed.exchange(std::make_shared<const Expr>(mine));
    if (other) different += Expr::parse(other->text()).same_as(*other) ? 0 : 1;
    rounds += thread >= 0 ? 1 : 0;
  });
  while (rounds < 4000) std::this_thread::yield();
  threads.stop();
  CHECK(different == 0);
}

TEST_CASE("a child that is forked while other threads make expressions can make its own") {
  const Expr inherited = causal() && document();
  std::atomic<std::uint64_t> rounds = 0;
  Threads threads([&](int) { many(rounds++ % 5); });
  for (int i = 0; i < 30; i++) {
    CHECK(exit_code_of_child([&] {
            for (std::uint64_t seed = 0; seed < 5; seed++) {
              const std::vector<Expr> made = many(seed), again = many(seed);
              for (std::size_t n = 0; n < made.size(); n++)
                if (!made[n].same_as(again[n])) return 1;
            }
            return (causal() && document()).same_as(inherited) ? 0 : 2;
          }) == 0);
  }
}
