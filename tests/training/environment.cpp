// One thread for all tests: bit-equal results are promised for one only, and two of them on a busy
// machine wait for each other.
#include <gtest/gtest.h>

#include "training/evaluate.h"

namespace qwen3guard::training {
namespace {

class OneThread : public testing::Environment {
 public:
  void SetUp() override { set_threads(1); }
};

[[maybe_unused]] const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace
}  // namespace qwen3guard::training
