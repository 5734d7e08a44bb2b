// The math warpgroups of a backward block that share its work, not its keys: one computes S, P and
// dV, the other dP, dS and dK, of the same 64 keys. For head dims of which one warpgroup can hold
// one gradient alone.
#pragma once

#include "backward/key_gradients.cuh"

namespace streamattn {

/// What both roles have: all of KeyGradients but one gradient, and P times the slope of the score,
/// which goes from one to the other through shared memory, in the order of registers.
template <class Spec>
struct KeyRole : KeyGradients<Spec> {
 protected:
  using Base = KeyGradients<Spec>;
  using Base::at, Base::params, Base::shared, Base::tiling, Base::visit;

  /// When all have read K and V, which gradients take the place of.
  SA_DEVICE void wait_keys_read() const {
    shared.keys_ring().wait_empty(ItemCursor{this->items().uses + 1});
  }

  SA_DEVICE UseCursor<1> weights_of(VisitCursor which) const { return {which.uses}; }
  /// Of the thread's pairs from number `pair` on, a multiple of 4.
  SA_DEVICE u32 weights(int pair) const {
    return shared.weights() + (pair / 4 * 128 + at.warp * 32 + at.lane) * 16;
  }
};

/// One thread of the warpgroup of S, P and dV. dV of a visit and S of the next one are in flight at
/// a time; exponentials run under the products of the other role.
template <class Spec>
struct ValueRole : KeyRole<Spec> {
  using Base = KeyRole<Spec>;
  using Base::at, Base::params, Base::shared, Base::tiling, Base::visit, Base::dv, Base::p;
  using typename Base::DVTile;

  SA_DEVICE void run() {
#pragma unroll 1
    for (ItemCursor next; this->take_item(next); next = {this->items().uses + 1}) {
      this->clear(dv);
      if (this->item().flags & KeyItem::seen) visit_queries();
      this->release_keys();
      this->wait_keys_read();
      this->template pass_on<DVTile, tiling.value_head_dim>(
          dv, this->value_scale(), params.d_v_direct, shared.d_v(visit, 0));
      this->tell_passed_on();
    }
  }

 private:
  SA_DEVICE void visit_queries() {
    shared.q_ring().wait(shared.q_of(visit));
    int flags = this->flags();
    float s[tiling.tile_q / 2];
    this->multiply_scores(s);
    wgmma_wait<0>();
    pin(s);
    weigh(s, flags);
#pragma unroll 1
    while (!(flags & QueryVisit::last)) {
      this->forget_addresses();
      add_to_dv();
      visit.advance();
      shared.q_ring().wait(shared.q_of(visit));
      flags = this->flags();
      this->multiply_scores(s);
      wgmma_wait<1>();
      pin(dv);
      pin(p);
      if (at.leads_warp()) shared.d_o_ring().release(shared.d_o_of(visit.before()));
      wgmma_wait<0>();
      pin(s);
      weigh(s, flags);
    }
    add_to_dv();
    wgmma_wait<0>();
    pin(dv);
    __syncwarp();
    if (at.leads_warp()) shared.d_o_ring().release(shared.d_o_of(visit));
    visit.advance();
  }

  SA_DEVICE void add_to_dv() {
    shared.d_o_ring().wait(shared.d_o_of(visit));
    Base::add_to_dv();
  }

  /// From S to P, packed, and to what the other role takes.
  SA_DEVICE void weigh(float (&s)[tiling.tile_q / 2], int flags) {
    typename Base::Weights sloped;
    const auto& weights = Base::weigh(s, sloped, flags);
    __syncwarp();
    if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit));
    shared.weights_ring().wait_empty(this->weights_of(visit));
#pragma unroll
    for (int i = 0; i < tiling.tile_q / 4; i += 4)
      store_shared(this->weights(i), make_int4(int(weights[i]), int(weights[i + 1]),
                                               int(weights[i + 2]), int(weights[i + 3])));
    __syncwarp();
    if (at.leads_warp()) mbarrier_arrive(shared.weights_ring().full);
  }
};

/// One thread of the warpgroup of dP, dS and dK. dK of a visit and dP of the next one are in flight
/// at a time.
template <class Spec>
struct KeysRole : KeyRole<Spec> {
  using Base = KeyRole<Spec>;
  using Base::at, Base::params, Base::shared, Base::tiling, Base::visit, Base::dk;
  using typename Base::DKTile;

  SA_DEVICE void run() {
#pragma unroll 1
    for (ItemCursor next; this->take_item(next); next = {this->items().uses + 1}) {
      this->clear(dk);
      if (this->item().flags & KeyItem::seen) visit_queries();
      this->release_keys();
      this->wait_keys_read();
      if constexpr (watches<Spec>) watch(params.watch, at, dk);
      this->template pass_on<DKTile, tiling.head_dim>(dk, params.score.scale, params.d_k_direct,
                                                      shared.d_k(visit, 0));
      this->tell_passed_on();
    }
  }

 private:
  SA_DEVICE void visit_queries() {
    shared.q_ring().wait(shared.q_of(visit));
    int flags = this->flags();
    float dp[tiling.tile_q / 2];
    multiply(dp);
    wgmma_wait<0>();
    pin(dp);
    differentiate(dp);
    this->add_to_dk(visit);
#pragma unroll 1
    while (!(flags & QueryVisit::last)) {
      this->forget_addresses();
      visit.advance();
      multiply(dp);
      wgmma_wait<1>();
      pin(dk);
      if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit.before()));
      wgmma_wait<0>();
      pin(dp);
      differentiate(dp);
      flags = this->flags();
      this->add_to_dk(visit);
    }
    wgmma_wait<0>();
    pin(dk);
    __syncwarp();
    if (at.leads_warp()) shared.q_ring().release(shared.q_of(visit));
    visit.advance();
  }

  SA_DEVICE void multiply(float (&dp)[tiling.tile_q / 2]) const {
    shared.d_o_ring().wait(shared.d_o_of(visit));
    this->multiply_dp(dp);
  }

  /// dS of the visit, of dP and of what the other role left.
  SA_DEVICE void differentiate(const float (&dp)[tiling.tile_q / 2]) {
    shared.q_ring().wait(shared.q_of(visit));
    if constexpr (drops<Spec>) this->find_dropped();
    shared.weights_ring().wait(this->weights_of(visit));
    shared.ds_ring().wait_empty(shared.ds_of(visit));
    int4 four = {};
    this->store_ds(dp, [&](int i) {
      if (i % 4 == 0) four = load_shared(this->weights(i));
      return u32(i % 4 == 0 ? four.x : i % 4 == 1 ? four.y : i % 4 == 2 ? four.z : four.w);
    });
    if (!at.leads_warp()) return;
    shared.weights_ring().release(this->weights_of(visit));
    shared.d_o_ring().release(shared.d_o_of(visit));
  }
};

}  // namespace streamattn
