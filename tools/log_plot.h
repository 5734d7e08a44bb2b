// Plots with two logarithmic axes, as SVG that needs nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace streamattn {

/// A line through points, all coordinates > 0.
struct PlotSeries {
  std::string label;
  std::vector<std::pair<double, double>> points;
  int colour = 0;  ///< which of the palette
};

/// Axes with some lines and a legend below. The ticks of x are powers of two.
struct LogPlot {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
};

/// A whole SVG file: the plots beside each other under one title.
std::string svg(const std::string& title, const std::vector<LogPlot>& plots);

/// "128", "4K", "1M": powers of two as people write lengths; other numbers in full.
std::string short_length(std::int64_t number);

}  // namespace streamattn
