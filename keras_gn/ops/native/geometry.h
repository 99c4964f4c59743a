// How a tensor falls into samples, groups and tiles, and the order in which they are worked on.

#ifndef KERAS_GN_GEOMETRY_H_
#define KERAS_GN_GEOMETRY_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "loops.h"
#include "steps.h"

namespace keras_gn {

// A tile within its sample: where it starts, and the channels that it touches.
struct Piece {
  int64_t begin;  // element, from the start of the sample
  Tile tile;
  int64_t channel;   // the first one
  int64_t channels;  // their number
};

// A tensor [samples, positions, channels] or [samples, channels, positions], cut into tiles. The cut depends on
// the shape of a sample alone, so that neither the batch nor the number of threads changes a result.
class Geometry {
 public:
  Geometry(Layout layout, int64_t samples, int64_t positions, int64_t channels, int64_t groups)
      : layout(layout), samples(samples), positions(positions), channels(channels), groups(groups) {
    if (layout == Layout::kChannelsLast) {
      step_ = std::max(kMinRows, kTileElements / channels);
      tiles = (positions + step_ - 1) / step_;
    } else if (positions >= kTileElements) {
      step_ = kTileElements;
      segments_ = (positions + step_ - 1) / step_;
      tiles = channels * segments_;
    } else {
      step_ = std::max<int64_t>(1, kTileElements / std::max<int64_t>(1, positions));
      tiles = (channels + step_ - 1) / step_;
    }
  }

  Piece piece(int64_t index) const {
    if (layout == Layout::kChannelsLast) {
      const int64_t first = index * step_;
      return {first * channels, {std::min(step_, positions - first), channels}, 0, channels};
    }
    if (segments_ > 0) {
      const int64_t channel = index / segments_, first = index % segments_ * step_;
      return {channel * positions + first, {1, std::min(step_, positions - first)}, channel, 1};
    }
    const int64_t channel = index * step_, count = std::min(step_, channels - channel);
    return {channel * positions, {count, positions}, channel, count};
  }

  // The number of channels of the widest piece.
  int64_t channels_of_piece() const {
    return layout == Layout::kChannelsLast ? channels : segments_ > 0 ? 1 : std::min(step_, channels);
  }
  // How many threads, of those there are, the tensor is large enough for: to wake one up takes as long as some hundred
  // thousand elements.
  int threads(int available) const {
    const int64_t useful = samples * elements_of_sample() / kThreadElements;
    return static_cast<int>(std::clamp<int64_t>(useful, 1, available));
  }
  int64_t elements_of_sample() const { return positions * channels; }
  int64_t channels_of_group() const { return channels / groups; }
  // Of a channel's value at the first position.
  int64_t stride_of_channel() const { return layout == Layout::kChannelsLast ? 1 : positions; }

  const Layout layout;
  const int64_t samples, positions, channels, groups;
  int64_t tiles;  // of a sample

 private:
  // 64 KiB of float32: small enough for any second-level cache, large against what a tile costs beside its elements.
  static constexpr int64_t kTileElements = 16384;
  static constexpr int64_t kThreadElements = 131072;
  static constexpr int64_t kMinRows = 128;  // against the 16 bytes that a tile takes for each channel
  int64_t step_;  // positions of a channels-last tile; positions or channels of a channels-first one
  int64_t segments_ = 0;
};

// The steps that take samples through their passes: `measure` every piece, `combine` the measures, `write` every
// piece. As many whole samples as keep all threads busy are one thread's item each, so that a sample is read again
// while it is in the cache. All threads share the pieces of the samples that are left, such as a single one; those
// samples are put into `shared`.
template <typename Sample>
std::vector<Step> steps_of_samples(const Geometry& geometry, int threads,
                                   const std::function<Sample(int64_t)>& make_sample, std::vector<Sample>* shared) {
  const int64_t whole = geometry.samples / threads * threads, tiles = geometry.tiles;
  for (int64_t n = whole; n < geometry.samples; ++n) shared->push_back(make_sample(n));
  const int64_t rest = geometry.samples - whole, pieces = tiles * rest;
  const auto do_sample = [=](int64_t n) {
    Sample sample = make_sample(n);
    for (int64_t i = 0; i < tiles; ++i) sample.measure(i);
    sample.combine();
    for (int64_t i = 0; i < tiles; ++i) sample.write(i);
  };
  const auto measure = [=](int64_t i) { (*shared)[i / tiles].measure(i % tiles); };
  const auto combine = [=](int64_t i) { (*shared)[i].combine(); };
  const auto write = [=](int64_t i) { (*shared)[i / tiles].write(i % tiles); };
  return {{whole, do_sample}, {pieces, measure}, {rest, combine}, {pieces, write}};
}

}  // namespace keras_gn

#endif  // KERAS_GN_GEOMETRY_H_
