#include "gateway_load/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <boost/version.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "gateway_load/process.h"
#include "kernels/kernels.h"

namespace qwen3guard::bench {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name"))
      return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

std::string first_word_of(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

}  // namespace

double percentile(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto place =
      values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

Json environment(const std::string& program) {
  utsname kernel{};
  ::uname(&kernel);
  const auto memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return {{"processor", processor()},
          {"hardware_threads", std::thread::hardware_concurrency()},
          {"memory_gb", std::round(memory / 1e8) / 10},
          {"kernel", std::string(kernel.sysname) + " " + kernel.release},
          {"load_average", first_word_of("/proc/loadavg")},
          {"instruction_set", kernels::active_kernels().name},
          {"compiler", __VERSION__},
          {"boost", BOOST_LIB_VERSION},
          {"gateway", first_line_of({program, "--version"})}};
}

Json figures(const Measured& measured) {
  Json json;
  for (std::size_t i = 0; i < kEnds; ++i) {
    json["streams"][std::string(end_name(static_cast<End>(i)))] = measured.ends[i];
  }
  json["dropped_pieces"] = measured.damage.dropped;
  json["added_pieces"] = measured.damage.added;
  json["reordered_pieces"] = measured.damage.reordered;
  if (!measured.first_trouble.empty()) json["first_trouble"] = measured.first_trouble;
  json["seconds"] = measured.seconds;
  json["pieces"] = measured.pieces;
  const auto both = [&](const char* name, const std::vector<float>& values, double scale) {
    json[name] = {{"p50", scale * percentile(values, 0.5)},
                  {"p99", scale * percentile(values, 0.99)}};
  };
  both("first_token_ms", measured.first, 1000);
  both("token_ms", measured.tokens, 1000);
  both("pieces_behind", measured.behind, 1);
  both("upstream_lateness_ms", measured.lateness, 1000);
  return json;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 3);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string& cell = rows[r][i];
      text += "| " + cell + std::string(widths[i] - cell.size() + 1, ' ');
    }
    text += "|\n";
    if (r > 0) continue;
    for (const std::size_t width : widths) text += "|" + std::string(width + 2, '-');
    text += "|\n";
  }
  return text;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f",
                std::abs(value) >= 100  ? 0
                : std::abs(value) >= 10 ? 1
                                        : 2,
                value);
  return text;
}

}  // namespace qwen3guard::bench
