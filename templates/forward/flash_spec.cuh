// What the forward skeleton asks of its Spec, so that a mistake is named before any template is
// looked into.
#pragma once

#include "parts/scores.cuh"

namespace streamattn {

template <class T, class U>
constexpr bool is_same = false;
template <class T>
constexpr bool is_same<T, T> = true;

template <class T, class U>
concept Is = is_same<T, U>;

/// A score policy: parts/scores.cuh.
template <class S>
concept ScorePolicy = requires(S score, const ScoreParams& params, const Sequence& sequence) {
  S();
  S(params, WorkItem(), sequence);
  { S::trivial } -> Is<const bool&>;
  { S::changes } -> Is<const bool&>;
  { S::through_tanh } -> Is<const bool&>;
  { S::has_sink } -> Is<const bool&>;
  { S::range_count } -> Is<const int&>;
  { score.seen(0, Span()) } -> Is<Span>;
  { score.full(Span(), Span()) } -> Is<Span>;
  { score.keeps(0, 0, 0) } -> Is<bool>;
  { score.tangent_of(0.f, 0, 0, 0, 0.f) } -> Is<float>;
  { score.tangent_factor() } -> Is<float>;
  { score.change(0.f, 0, 0, 0, 0.f) } -> Is<float>;
  { score.sink(0) } -> Is<float>;
  { score.scale_log2 } -> Is<float&>;
};

template <class Spec>
concept HasOperands = requires {
  typename Spec::Element;
  { Spec::group_size } -> Is<const int&>;
};

template <class Spec>
concept HasScore = ScorePolicy<typename Spec::Score>;

template <class Spec>
concept HasTiling = Is<const FlashTiling, decltype(Spec::tiling)> &&
                    Spec::tiling.tile_q % 64 == 0 && Spec::tiling.tile_kv % 16 == 0;

template <class Spec>
concept HasSchedule = requires {
  { Spec::ping_pong } -> Is<const bool&>;
  { Spec::q_in_registers } -> Is<const bool&>;
  { Spec::stale_reference } -> Is<const bool&>;
  { Spec::key_lists } -> Is<const bool&>;
  { Spec::producer_registers } -> Is<const int&>;
  { Spec::consumer_registers } -> Is<const int&>;
};

/// False where Spec lacks something, with an error of one line that says what.
template <class Spec>
SA_DEVICE constexpr bool is_flash_spec() {
  static_assert(HasOperands<Spec>, "Spec needs a type Element and an int group_size");
  static_assert(HasScore<Spec>, "Spec needs a type Score that is a score policy");
  static_assert(HasTiling<Spec>,
                "Spec needs a FlashTiling tiling with 64 rows of queries a warpgroup and whole "
                "k-steps of keys");
  static_assert(HasSchedule<Spec>,
                "Spec needs bools ping_pong, q_in_registers, stale_reference and key_lists, ints "
                "producer_registers and consumer_registers");
  return HasOperands<Spec> && HasScore<Spec> && HasTiling<Spec> && HasSchedule<Spec>;
}

}  // namespace streamattn
