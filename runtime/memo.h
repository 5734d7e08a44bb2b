// Values that are made once for a key, however many threads ask for them.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace streamattn {

/// Makes and keeps values by key. Thread-safe.
template <class Value>
class Memo {
 public:
  using Pointer = std::shared_ptr<Value>;

  /// The value of `key`, which the first caller makes and all others wait for. What `make` throws
  /// reaches everybody who waits, and the next caller tries again.
  Pointer get(const std::string& key, const std::function<Pointer()>& make) {
    std::promise<Pointer> promise;
    std::shared_future<Pointer> future;
    bool makes = false;
    {
      const std::lock_guard lock(mutex_);
      auto [entry, inserted] = values_.try_emplace(key);
      if (inserted) entry->second = promise.get_future().share();
      makes = inserted;
      future = entry->second;
    }
    if (makes) {
      try {
        promise.set_value(make());
      } catch (...) {
        promise.set_exception(std::current_exception());
        const std::lock_guard lock(mutex_);
        values_.erase(key);
      }
    }
    return future.get();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_future<Pointer>> values_;
};

}  // namespace streamattn
