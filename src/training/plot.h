// Curves as an SVG picture.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace qwen3guard::training {

struct Curve {
  std::string name;
  std::string colour;  // "#3366cc"
  std::vector<std::pair<double, double>> points;
};

struct Panel {
  std::string title;
  std::vector<Curve> curves;
};

/// Panels above each other over a common horizontal axis named `axis`.
std::string plot_svg(const std::vector<Panel>& panels, const std::string& axis);

}  // namespace qwen3guard::training
