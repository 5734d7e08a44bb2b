// Draws log-log plots.
#include "tools/log_plot.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/table.h"

namespace streamattn {
namespace {

// Pixels.
constexpr double plot_width = 540, left = 64, right = 24, top = 64, axes_height = 300;
constexpr double axes_width = plot_width - left - right, legend_top = 52, legend_line = 18;

// Okabe and Ito's colours, which the colour-blind tell apart, without the yellow.
constexpr std::array<const char*, 7> palette = {"#000000", "#0072b2", "#d55e00", "#009e73",
                                                "#cc79a7", "#56b4e9", "#e69f00"};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else {
      result += c;
    }
  }
  return result;
}

/// A logarithmic axis from `low` to `high`, which are different, over some pixels.
class Axis {
 public:
  Axis(double low, double high, double from, double to)
      : low_(std::log(low)), high_(std::log(high)), from_(from), to_(to) {}

  double at(double value) const {
    return from_ + (std::log(value) - low_) / (high_ - low_) * (to_ - from_);
  }

 private:
  double low_, high_, from_, to_;
};

/// The powers of `base` around all values, two at least.
std::vector<double> ticks(const std::vector<double>& values, double base) {
  const auto exponent = [&](double value) { return std::log(value) / std::log(base); };
  double low = 0, high = 1;
  if (!values.empty()) {
    // A power of the base is one in spite of rounding.
    low = std::floor(exponent(*std::ranges::min_element(values)) + 1e-9);
    high = std::max(low + 1, std::ceil(exponent(*std::ranges::max_element(values)) - 1e-9));
  }
  std::vector<double> powers;
  for (double e = low; e <= high; e++) powers.push_back(std::pow(base, e));
  return powers;
}

std::string power_text(double value) {
  return value >= 1 ? fixed(value, 0)
                    : fixed(value, static_cast<int>(std::lround(-std::log10(value))));
}

class Canvas {
 public:
  explicit Canvas(llvm::raw_ostream& out) : out_(out) {}

  void line(double x1, double y1, double x2, double y2, const char* kind) {
    out_ << "<line class=\"" << kind << "\" x1=\"" << fixed(x1, 1) << "\" y1=\"" << fixed(y1, 1)
         << "\" x2=\"" << fixed(x2, 1) << "\" y2=\"" << fixed(y2, 1) << "\"/>\n";
  }

  void text(double x, double y, const char* anchor, const std::string& what,
            const std::string& more = "") {
    out_ << "<text x=\"" << fixed(x, 1) << "\" y=\"" << fixed(y, 1) << "\" text-anchor=\"" << anchor
         << "\"" << more << ">" << escaped(what) << "</text>\n";
  }

  void series(const PlotSeries& series, const Axis& x, const Axis& y) {
    const char* const colour = palette[series.colour % palette.size()];
    out_ << "<g class=\"series\" stroke=\"" << colour << "\" fill=\"" << colour << "\">\n"
         << "<polyline fill=\"none\" points=\"";
    for (const auto& [px, py] : series.points)
      out_ << fixed(x.at(px), 1) << "," << fixed(y.at(py), 1) << " ";
    out_ << "\"/>\n";
    for (const auto& [px, py] : series.points) {
      out_ << "<circle cx=\"" << fixed(x.at(px), 1) << "\" cy=\"" << fixed(y.at(py), 1)
           << "\" r=\"3\"><title>" << escaped(series.label) << " at " << fixed(px, 0) << ": "
           << fixed(py, 4) << "</title></circle>\n";
    }
    out_ << "</g>\n";
  }

  void legend(const PlotSeries& series, double px, double py) {
    out_ << "<line stroke-width=\"2\" stroke=\"" << palette[series.colour % palette.size()]
         << "\" x1=\"" << fixed(px, 1) << "\" y1=\"" << fixed(py - 4, 1) << "\" x2=\""
         << fixed(px + 22, 1) << "\" y2=\"" << fixed(py - 4, 1) << "\"/>\n";
    text(px + 30, py, "start", series.label);
  }

 private:
  llvm::raw_ostream& out_;
};

void draw(Canvas& canvas, const LogPlot& plot, double x0) {
  std::vector<double> xs, ys;
  for (const PlotSeries& series : plot.series) {
    for (const auto& [px, py] : series.points) xs.push_back(px), ys.push_back(py);
  }
  const std::vector<double> x_ticks = ticks(xs, 2), y_ticks = ticks(ys, 10);
  const double bottom = top + axes_height, end = x0 + left + axes_width;
  const Axis x(x_ticks.front(), x_ticks.back(), x0 + left, end);
  const Axis y(y_ticks.front(), y_ticks.back(), bottom, top);

  const std::size_t stride = x_ticks.size() > 10 ? 2 : 1;  // labels must not touch
  for (std::size_t i = 0; i < x_ticks.size(); i++) {
    const double at = x.at(x_ticks[i]);
    canvas.line(at, top, at, bottom, "grid");
    if ((x_ticks.size() - 1 - i) % stride == 0)
      canvas.text(at, bottom + 16, "middle",
                  short_length(static_cast<std::int64_t>(std::llround(x_ticks[i]))));
  }
  for (const double tick : y_ticks) {
    canvas.line(x0 + left, y.at(tick), end, y.at(tick), "grid");
    canvas.text(x0 + left - 6, y.at(tick) + 4, "end", power_text(tick));
    if (tick == y_ticks.back()) break;
    for (const double part : {2.0, 5.0})
      canvas.line(x0 + left, y.at(part * tick), end, y.at(part * tick), "fine");
  }
  canvas.line(x0 + left, top, x0 + left, bottom, "axis");
  canvas.line(x0 + left, bottom, end, bottom, "axis");
  canvas.text(x0 + left + axes_width / 2, top - 10, "middle", plot.title);
  canvas.text(x0 + left + axes_width / 2, bottom + 34, "middle", plot.x_label);
  const double across = top + axes_height / 2;
  canvas.text(x0 + 16, across, "middle", plot.y_label,
              " transform=\"rotate(-90 " + fixed(x0 + 16, 1) + " " + fixed(across, 1) + ")\"");
  for (const PlotSeries& series : plot.series) canvas.series(series, x, y);
  double line = bottom + legend_top;
  for (const PlotSeries& series : plot.series) {
    canvas.legend(series, x0 + left, line);
    line += legend_line;
  }
}

}  // namespace

std::string short_length(std::int64_t number) {
  constexpr std::int64_t kilo = 1024, mega = kilo * kilo;
  if (number >= mega && number % mega == 0) return std::to_string(number / mega) + "M";
  if (number >= kilo && number % kilo == 0) return std::to_string(number / kilo) + "K";
  return std::to_string(number);
}

std::string svg(const std::string& title, const std::vector<LogPlot>& plots) {
  std::size_t lines = 0;
  for (const LogPlot& plot : plots) lines = std::max(lines, plot.series.size());
  const double width = plot_width * static_cast<double>(std::max<std::size_t>(1, plots.size()));
  const double height =
      top + axes_height + legend_top + legend_line * static_cast<double>(lines) + 8;
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
      << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << fixed(width, 0) << "\" height=\""
      << fixed(height, 0) << "\" viewBox=\"0 0 " << fixed(width, 0) << " " << fixed(height, 0)
      << "\">\n"
      << "<style>text{font:12px sans-serif}.grid{stroke:#ccc}.fine{stroke:#eee}.axis{stroke:#000}"
         "polyline{stroke-width:1.5}</style>\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  Canvas canvas(out);
  canvas.text(width / 2, 24, "middle", title);
  double x0 = 0;
  for (const LogPlot& plot : plots) {
    out << "<g class=\"plot\">\n";
    draw(canvas, plot, x0);
    out << "</g>\n";
    x0 += plot_width;
  }
  out << "</svg>\n";
  return text;
}

}  // namespace streamattn
