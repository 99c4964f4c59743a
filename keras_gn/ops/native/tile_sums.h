// Two sums per channel, kept apart for each tile of a sample, so that tiles can be measured in any order and by
// any thread and still add up to the same bits.

#ifndef KERAS_GN_TILE_SUMS_H_
#define KERAS_GN_TILE_SUMS_H_

#include <cstdint>
#include <vector>

#include "geometry.h"

namespace keras_gn {

class TileSums {
 public:
  explicit TileSums(const Geometry& geometry)
      : geometry_(&geometry), sums_(geometry.tiles * 2 * geometry.channels_of_piece()) {}

  // Where the sums of a tile's channels are to be added; they start at 0.
  double* first(int64_t tile) { return sums_.data() + tile * 2 * geometry_->channels_of_piece(); }
  double* second(int64_t tile) { return first(tile) + geometry_->channels_of_piece(); }

  // Adds the sums of all tiles to those of the sample's channels.
  void add_to(double* first_total, double* second_total) {
    for (int64_t i = 0; i < geometry_->tiles; ++i) {
      const Piece piece = geometry_->piece(i);
      const double *__restrict first_sum = first(i), *__restrict second_sum = second(i);
      for (int64_t c = 0; c < piece.channels; ++c) {
        first_total[piece.channel + c] += first_sum[c];
        second_total[piece.channel + c] += second_sum[c];
      }
    }
  }

 private:
  const Geometry* geometry_;
  std::vector<double> sums_;
};

}  // namespace keras_gn

#endif  // KERAS_GN_TILE_SUMS_H_
