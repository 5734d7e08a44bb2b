// Vector clocks: what an actor knows to have happened before it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace streamattn::emulator {

/// An actor: a thread, or an asynchronous agent such as the wgmmas of a warp, the bulk stores of a
/// thread, or the loads that complete on an mbarrier. Each counts its own events. The upper half is
/// the block, counted over all launches of a program; the lower half counts actors of the block.
using Actor = std::uint32_t;

constexpr std::uint32_t block_of(Actor actor) { return actor >> 16; }

/// The last event of every actor that is known to have happened before. Copies share what they
/// have in common, so that it costs little to hear of other blocks.
class Knowledge {
 public:
  std::uint32_t of(Actor actor) const {
    if (block_of(actor) < complete_below_) return ~0U;
    const Page* page = find(block_of(actor));
    const std::uint32_t index = actor & 0xFFFF;
    return page != nullptr && index < page->events->size() ? (*page->events)[index] : 0;
  }

  void learn(Actor actor, std::uint32_t event) {
    Events& events = writable(block_of(actor));
    const std::uint32_t index = actor & 0xFFFF;
    if (index >= events.size()) events.resize(index + 1U);
    events[index] = std::max(events[index], event);
  }

  void learn(const Knowledge& other) {
    complete_below_ = std::max(complete_below_, other.complete_below_);
    for (const Page& page : other.pages_) {
      const Page* mine = find(page.block);
      if (mine == nullptr) {
        pages_.push_back(page);
      } else if (mine->events != page.events) {
        merge(writable(page.block), *page.events);
      }
    }
  }

  /// Everything that blocks in front of `block` did.
  void learn_all_below(std::uint32_t block) { complete_below_ = std::max(complete_below_, block); }

 private:
  using Events = std::vector<std::uint32_t>;
  struct Page {
    std::uint32_t block;
    std::shared_ptr<Events> events;
  };

  static void merge(Events& into, const Events& from) {
    if (into.size() < from.size()) into.resize(from.size());
    for (std::size_t i = 0; i < from.size(); i++) into[i] = std::max(into[i], from[i]);
  }

  const Page* find(std::uint32_t block) const {
    for (const Page& page : pages_)
      if (page.block == block) return &page;
    return nullptr;
  }

  Events& writable(std::uint32_t block) {
    for (Page& page : pages_) {
      if (page.block != block) continue;
      if (page.events.use_count() > 1) page.events = std::make_shared<Events>(*page.events);
      return *page.events;
    }
    pages_.push_back({block, std::make_shared<Events>()});
    return *pages_.back().events;
  }

  std::uint32_t complete_below_ = 0;  // blocks
  std::vector<Page> pages_;
};

/// What a thread knows, and what of that the asynchronous proxy (TMA, wgmma) sees through it in
/// shared and in global memory.
struct Clock {
  Knowledge seen, fenced_shared, fenced_global;

  void learn(const Clock& other) {
    seen.learn(other.seen);
    fenced_shared.learn(other.fenced_shared);
    fenced_global.learn(other.fenced_global);
  }

  /// Completion of an asynchronous operation on shared memory, which needs no proxy fence.
  void learn_async(Actor actor, std::uint32_t event) {
    seen.learn(actor, event);
    fenced_shared.learn(actor, event);
  }

  /// The same on global memory.
  void learn_async_global(Actor actor, std::uint32_t event) {
    seen.learn(actor, event);
    fenced_global.learn(actor, event);
  }

  /// Kernels are complete whose blocks are in front of `block`.
  void learn_all_below(std::uint32_t block) {
    seen.learn_all_below(block);
    fenced_global.learn_all_below(block);
  }
};

}  // namespace streamattn::emulator
