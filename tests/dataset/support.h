// Small files and rows for the tests of dataset/.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace qwen3guard::dataset {

/// A folder of its own for the running test, emptied at the start.
inline std::filesystem::path test_folder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  auto folder = std::filesystem::temp_directory_path() /
                (std::string("qg_") + info->test_suite_name() + "_" + info->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline void write_gz(const std::filesystem::path& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

/// A valid row; `more` is inserted before the closing brace.
inline std::string row(const std::string& id, const std::string& content = "hello",
                       const std::string& label = "\"Safe\"", const std::string& more = "") {
  return R"({"id": ")" + id +
         R"(", "source": "s", "lang": "en", "messages": [{"role": "user", "content": ")" + content +
         R"("}], "target": "prompt", "label": )" + label +
         R"(, "categories": ["a"], "refusal": null, "unsafe_span": null, "split": "train", "label_origin": "human")" +
         more + "}";
}

}  // namespace qwen3guard::dataset
