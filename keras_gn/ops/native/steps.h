// Work in steps, shared out among threads.

#ifndef KERAS_GN_STEPS_H_
#define KERAS_GN_STEPS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace keras_gn {

// Items 0 to count - 1, which may run at once. The next step begins when all are done.
struct Step {
  int64_t count;
  std::function<void(int64_t)> item;
};

// Steps that any number of threads work on: each takes the next item that nobody has.
class Steps {
 public:
  explicit Steps(std::vector<Step> steps) : steps_(std::move(steps)), states_(steps_.size()) {}

  // Returns when all steps are done. It waits for other threads only where they are in the middle of an item: one
  // that wakes up late finds nothing left to do, and costs nothing. Without memory the process ends here: other
  // threads may be using what an exception would destroy.
  void work() noexcept {
    for (size_t k = 0; k < steps_.size(); ++k) {
      const Step& step = steps_[k];
      State& state = states_[k];
      for (int64_t i; (i = state.next.fetch_add(1, std::memory_order_relaxed)) < step.count;) {
        step.item(i);
        state.done.fetch_add(1, std::memory_order_acq_rel);
      }
      while (state.done.load(std::memory_order_acquire) < step.count) std::this_thread::yield();
    }
  }

 private:
  struct State {
    std::atomic<int64_t> next{0}, done{0};
  };
  std::vector<Step> steps_;
  std::vector<State> states_;
};

// Does the steps in this thread and `helpers` others, which `schedule` starts. The steps may refer to what the caller
// has: when this returns, nothing will use it any more.
inline void run_steps(std::vector<Step> steps, int helpers,
                      const std::function<void(std::function<void()>)>& schedule) {
  const auto shared = std::make_shared<Steps>(std::move(steps));
  for (int i = 0; i < helpers; ++i) schedule([shared] { shared->work(); });
  shared->work();
}

}  // namespace keras_gn

#endif  // KERAS_GN_STEPS_H_
