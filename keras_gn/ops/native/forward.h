// The forward pass of one sample.

#ifndef KERAS_GN_FORWARD_H_
#define KERAS_GN_FORWARD_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "geometry.h"
#include "loops.h"
#include "tile_sums.h"

namespace keras_gn {

// What all samples of a forward pass share.
template <typename T>
struct ForwardPass {
  const Geometry& geometry;
  const Loops<T>& loops;
  Activation activation;
  double epsilon;
  const T* x;
  const Wide<T>* gamma;
  const Wide<T>* beta;
  T* y;
  double* mean;               // [samples, groups]
  double* inverse_deviation;  // [samples, groups]
};

// The terms of z = (x - centre) * scale + offset for the channels of a sample. `centre` is the mean as the type of
// the computation has it, and `offset` makes up for what that rounding lost: the error stays small however large
// the mean is against the deviation.
template <typename W>
class AffineTerms {
 public:
  explicit AffineTerms(int64_t channels) : centre_(channels), scale_(channels), offset_(channels) {}

  void set(const Geometry& geometry, const double* mean, const double* inverse_deviation, const W* gamma,
           const W* beta) {
    const int64_t size = geometry.channels_of_group();
    for (int64_t g = 0; g < geometry.groups; ++g) {
      const W centre = static_cast<W>(mean[g]), slope = static_cast<W>(inverse_deviation[g]);
      const W rest = static_cast<W>(mean[g] - centre);
      for (int64_t c = g * size; c < (g + 1) * size; ++c) {
        centre_[c] = centre;
        scale_[c] = slope * gamma[c];
        offset_[c] = beta[c] - rest * scale_[c];
      }
    }
  }

  Affine<W> at(int64_t channel) const {
    return {centre_.data() + channel, scale_.data() + channel, offset_.data() + channel};
  }

 private:
  std::vector<W> centre_, scale_, offset_;
};

template <typename T>
class ForwardSample {
 public:
  using W = Wide<T>;

  ForwardSample(const ForwardPass<T>& pass, int64_t n)
      : pass_(&pass),
        x_(pass.x + n * pass.geometry.elements_of_sample()),
        y_(pass.y + n * pass.geometry.elements_of_sample()),
        mean_(pass.mean + n * pass.geometry.groups),
        inverse_deviation_(pass.inverse_deviation + n * pass.geometry.groups),
        pivot_(pass.geometry.channels),
        affine_(pass.geometry.channels),
        sums_(pass.geometry) {
    choose_pivot();
  }

  void measure(int64_t index) {
    const Piece piece = pass_->geometry.piece(index);
    pass_->loops.moments(pass_->geometry.layout, piece.tile, x_ + piece.begin, pivot_.data() + piece.channel,
                         sums_.first(index), sums_.second(index));
  }

  void combine() {
    const Geometry& geometry = pass_->geometry;
    const int64_t size = geometry.channels_of_group();
    std::vector<double> sum(geometry.channels), square(geometry.channels);
    sums_.add_to(sum.data(), square.data());
    const double count = static_cast<double>(geometry.positions * size);
    for (int64_t g = 0; g < geometry.groups; ++g) {
      const double shift = std::accumulate(&sum[g * size], &sum[g * size] + size, 0.0) / count;
      const double variance = std::accumulate(&square[g * size], &square[g * size] + size, 0.0) / count - shift * shift;
      mean_[g] = pivot_[g * size] + shift;
      inverse_deviation_[g] = 1.0 / std::sqrt((variance < 0.0 ? 0.0 : variance) + pass_->epsilon);
    }
    affine_.set(geometry, mean_, inverse_deviation_, pass_->gamma, pass_->beta);
  }

  void write(int64_t index) {
    const Piece piece = pass_->geometry.piece(index);
    pass_->loops.normalize({pass_->geometry.layout, pass_->activation}, piece.tile, x_ + piece.begin,
                           affine_.at(piece.channel), y_ + piece.begin);
  }

 private:
  // Moments are taken about an element of the group, so that a large mean costs no digits and a constant group has a
  // variance of exactly 0.
  void choose_pivot() {
    const Geometry& geometry = pass_->geometry;
    const int64_t size = geometry.channels_of_group();
    std::vector<W> first(geometry.groups);
    pass_->loops.read(x_, size * geometry.stride_of_channel(), geometry.groups, first.data());
    for (int64_t g = 0; g < geometry.groups; ++g) std::fill_n(&pivot_[g * size], size, first[g]);
  }

  const ForwardPass<T>* pass_;
  const T* x_;
  T* y_;
  double* mean_;
  double* inverse_deviation_;
  std::vector<W> pivot_;
  AffineTerms<W> affine_;
  TileSums sums_;  // of x - pivot, and of its square
};

}  // namespace keras_gn

#endif  // KERAS_GN_FORWARD_H_
