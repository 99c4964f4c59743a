// The backward pass of one sample.

#ifndef KERAS_GN_BACKWARD_H_
#define KERAS_GN_BACKWARD_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "forward.h"
#include "geometry.h"
#include "loops.h"
#include "tile_sums.h"

namespace keras_gn {

// What all samples of a backward pass share.
template <typename T>
struct BackwardPass {
  const Geometry& geometry;
  const Loops<T>& loops;
  Activation activation;
  const T* x;
  const T* dy;
  const Wide<T>* gamma;
  const Wide<T>* beta;
  const double* mean;               // [samples, groups]
  const double* inverse_deviation;  // [samples, groups]
  T* dx;
  double* gamma_sums;  // [samples, channels]: what each sample adds to the gradient of gamma
  double* beta_sums;   // [samples, channels]
};

// With xhat = (x - mean) / deviation, m elements a group and dz the gradient before the activation:
//   dgamma = sum of dz * xhat,  dbeta = sum of dz,
//   dx = (gamma * dz - (sum over the group of gamma * dz) / m - xhat * (sum of gamma * dz * xhat) / m) / deviation.
template <typename T>
class BackwardSample {
 public:
  using W = Wide<T>;

  BackwardSample(const BackwardPass<T>& pass, int64_t n)
      : pass_(&pass),
        x_(pass.x + n * pass.geometry.elements_of_sample()),
        dy_(pass.dy + n * pass.geometry.elements_of_sample()),
        dx_(pass.dx + n * pass.geometry.elements_of_sample()),
        mean_(pass.mean + n * pass.geometry.groups),
        inverse_deviation_(pass.inverse_deviation + n * pass.geometry.groups),
        gamma_sums_(pass.gamma_sums + n * pass.geometry.channels),
        beta_sums_(pass.beta_sums + n * pass.geometry.channels),
        affine_(pass.geometry.channels),
        curve_(pass.geometry.channels),
        shift_(pass.geometry.channels),
        sums_(pass.geometry) {
    affine_.set(pass.geometry, mean_, inverse_deviation_, pass.gamma, pass.beta);
  }

  void measure(int64_t index) {
    const Piece piece = pass_->geometry.piece(index);
    pass_->loops.gradient_sums(form(), piece.tile, x_ + piece.begin, dy_ + piece.begin, affine_.at(piece.channel),
                               sums_.first(index), sums_.second(index));
  }

  void combine() {
    const Geometry& geometry = pass_->geometry;
    const int64_t size = geometry.channels_of_group();
    std::fill_n(gamma_sums_, geometry.channels, 0.0);
    std::fill_n(beta_sums_, geometry.channels, 0.0);
    sums_.add_to(beta_sums_, gamma_sums_);
    const double count = static_cast<double>(geometry.positions * size);
    for (int64_t g = 0; g < geometry.groups; ++g) {
      const double inverse = inverse_deviation_[g];
      // The loops took products with x - centre; the mean lies `rest` beside the centre.
      const double rest = mean_[g] - static_cast<W>(mean_[g]);
      double of_dz = 0, of_product = 0;
      for (int64_t c = g * size; c < (g + 1) * size; ++c) {
        gamma_sums_[c] = inverse * (gamma_sums_[c] - rest * beta_sums_[c]);
        of_dz += pass_->gamma[c] * beta_sums_[c];
        of_product += pass_->gamma[c] * gamma_sums_[c];
      }
      const double curve = -inverse * inverse * of_product / count;
      const double shift = -inverse * of_dz / count - curve * rest;
      std::fill_n(curve_.begin() + g * size, size, static_cast<W>(curve));
      std::fill_n(shift_.begin() + g * size, size, static_cast<W>(shift));
    }
  }

  void write(int64_t index) {
    const Piece piece = pass_->geometry.piece(index);
    pass_->loops.gradient(form(), piece.tile, x_ + piece.begin, dy_ + piece.begin, affine_.at(piece.channel),
                          {curve_.data() + piece.channel, shift_.data() + piece.channel}, dx_ + piece.begin);
  }

 private:
  Form form() const { return {pass_->geometry.layout, pass_->activation}; }

  const BackwardPass<T>* pass_;
  const T* x_;
  const T* dy_;
  T* dx_;
  const double* mean_;
  const double* inverse_deviation_;
  double* gamma_sums_;
  double* beta_sums_;
  AffineTerms<W> affine_;
  std::vector<W> curve_, shift_;
  TileSums sums_;  // of dz, and of dz * (x - centre)
};

}  // namespace keras_gn

#endif  // KERAS_GN_BACKWARD_H_
