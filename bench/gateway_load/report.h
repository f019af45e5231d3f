// What a run prints: where it ran, and its figures as JSON and as a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway_load/streams.h"

namespace qwen3guard::bench {

using Json = nlohmann::ordered_json;

/// The least value that `share` of all do not exceed; 0 of none.
double percentile(std::vector<float> values, double share);

/// The machine and the versions; `program` is the gateway's.
Json environment(const std::string& program);

/// A run of streams.
Json figures(const Measured& measured);

/// Rows of Markdown in columns of equal width.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// "12.3", "0.12" and so on: three digits that count.
std::string number(double value);

}  // namespace qwen3guard::bench
