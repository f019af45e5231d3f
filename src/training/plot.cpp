#include "training/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace qwen3guard::training {
namespace {

constexpr double kWidth = 760, kPanel = 260, kLeft = 64, kRight = 16, kTop = 34, kBottom = 34;

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string label(double x, double y, const std::string& anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" +
         text + "</text>\n";
}

std::string draw_panel(const Panel& panel, double top, const std::string& axis) {
  double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
  for (const auto& curve : panel.curves) {
    for (const auto& [x, y] : curve.points) {
      low_x = std::min(low_x, x), high_x = std::max(high_x, x);
      low_y = std::min(low_y, y), high_y = std::max(high_y, y);
    }
  }
  if (!std::isfinite(low_x))
    return label(kLeft, top + kTop, "start", panel.title + ": nothing yet");
  if (high_x <= low_x) high_x = low_x + 1;
  const double margin = std::max((high_y - low_y) * 0.05, 1e-6);
  low_y -= margin, high_y += margin;
  const double bottom = top + kPanel - kBottom, head = top + kTop, right = kWidth - kRight;
  const auto px = [&](double x) {
    return kLeft + (x - low_x) / (high_x - low_x) * (right - kLeft);
  };
  const auto py = [&](double y) {
    return bottom - (y - low_y) / (high_y - low_y) * (bottom - head);
  };

  std::string svg =
      label(kLeft, top + 18, "start", "<tspan font-weight=\"bold\">" + panel.title + "</tspan>");
  for (int i = 0; i <= 4; ++i) {
    const double x = low_x + (high_x - low_x) * i / 4, y = low_y + (high_y - low_y) * i / 4;
    svg += "<line x1=\"" + number(kLeft) + "\" x2=\"" + number(right) + "\" y1=\"" + number(py(y)) +
           "\" y2=\"" + number(py(y)) + "\" stroke=\"#ddd\"/>\n";
    svg += label(kLeft - 6, py(y) + 4, "end", number(y)) +
           label(px(x), bottom + 16, "middle", number(x));
  }
  svg += label(right, bottom + 30, "end", axis);
  double legend = right;
  for (const auto& curve : panel.curves) {
    svg += "<polyline fill=\"none\" stroke=\"" + curve.colour + "\" stroke-width=\"1.6\" points=\"";
    for (const auto& [x, y] : curve.points) svg += number(px(x)) + "," + number(py(y)) + " ";
    svg += "\"/>\n<g fill=\"" + curve.colour + "\">" + label(legend, top + 18, "end", curve.name) +
           "</g>\n";
    legend -= 16 + 7.5 * static_cast<double>(curve.name.size());
  }
  return svg;
}

}  // namespace

std::string plot_svg(const std::vector<Panel>& panels, const std::string& axis) {
  const double height = kPanel * static_cast<double>(panels.size());
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(kWidth) +
                    "\" height=\"" + number(height) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (std::size_t i = 0; i < panels.size(); ++i)
    svg += draw_panel(panels[i], kPanel * static_cast<double>(i), axis);
  return svg + "</svg>\n";
}

}  // namespace qwen3guard::training
