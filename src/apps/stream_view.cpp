#include "apps/stream_view.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "apps/verdict_text.h"
#include "base/try.h"
#include "formats/verdict_json.h"

namespace qwen3guard::apps {
namespace {

using formats::add_verdict;
using formats::OrderedJson;
using formats::to_line;

class TextView final : public StreamView {
 public:
  TextView(Output& output, const Guard& guard, Palette palette)
      : output_(output), guard_(guard), palette_(palette) {}

  Status prompt(std::string_view text, const Verdict& verdict) override {
    return print(std::string(palette_.bold()) + "user" + std::string(palette_.reset()) + "       " +
                 escape_controls(text) + "  " +
                 verdict_label(palette_, verdict.risk,
                               category_text(guard_, Target::kPrompt, verdict.category)) +
                 "\n");
  }

  Status token(const JudgedToken& token, std::string_view text, Risk risk) override {
    if (text.empty()) return {};
    std::string out = begin_part(token.thinking);
    out += enter(risk);
    out += escape_controls(text);
    at_line_start_ = text.back() == '\n';
    return print(out);
  }

  Status flag(const JudgedToken& token, const Verdict& verdict, bool withheld) override {
    (void)withheld;
    std::string out = begin_part(token.thinking) + leave();
    const std::string category = category_text(guard_, Target::kResponse, verdict.category);
    if (palette_.colour()) {
      out += std::string(palette_.label(verdict.risk)) + " ⚑ " +
             (category.empty() ? std::string(risk_name(verdict.risk)) : category) + " " +
             std::string(palette_.reset());
    } else {
      out += "[FLAG " + std::string(risk_name(verdict.risk)) +
             (category.empty() ? "" : ": " + category) + "]";
    }
    at_line_start_ = false;
    return print(out);
  }

  Status end(const Verdict& prompt, const Verdict& response, bool stopped) override {
    (void)prompt;  // its verdict was shown beside it
    std::string out = leave();
    if (!at_line_start_) out += "\n";
    out += std::string(palette_.bold()) + "response" + std::string(palette_.reset()) + "   " +
           verdict_summary(palette_, guard_, response) +
           (stopped ? "  (stopped: the rest is not shown)" : "") + "\n";
    return print(out);
  }

  Status failed(const Error& error) override {
    (void)error;  // goes to standard error
    std::string out = leave();
    if (!at_line_start_) out += "\n";
    out += std::string(palette_.bold()) + "response" + std::string(palette_.reset()) + "   " +
           std::string(palette_.text(Risk::kUnsafe)) + "could not be judged: treat it as unsafe" +
           std::string(palette_.reset()) + "\n";
    return print(out);
  }

 private:
  std::string begin_part(bool thinking) {
    if (part_ == thinking) return {};
    std::string out = leave();
    if (part_ && !at_line_start_) out += "\n";
    part_ = thinking;
    at_line_start_ = false;
    out += std::string(thinking ? palette_.dim() : palette_.bold()) +
           (thinking ? "thinking" : "assistant") + std::string(palette_.reset()) +
           (thinking ? "   " : "  ");
    return out;
  }

  // Switches to the colours, or the markers, of a risk.
  std::string enter(Risk risk) {
    if (shown_ == risk) return {};
    std::string out = leave();
    shown_ = risk;
    if (palette_.colour()) return out + std::string(palette_.text(risk));
    return risk == Risk::kSafe ? out : out + "[" + std::string(risk_name(risk)) + "> ";
  }

  std::string leave() {
    std::string out;
    if (palette_.colour()) {
      out = palette_.reset();
    } else if (shown_ && *shown_ != Risk::kSafe) {
      out = "<]";
    }
    shown_.reset();
    return out;
  }

  // What was judged is shown at once.
  Status print(const std::string& text) {
    QG_CHECK_OK(output_.write(text));
    return output_.flush();
  }

  Output& output_;
  const Guard& guard_;
  const Palette palette_;
  std::optional<bool> part_;  // thinking?
  std::optional<Risk> shown_;
  bool at_line_start_ = true;
};

class JsonView final : public StreamView {
 public:
  JsonView(Output& output, const Guard& guard) : output_(output), guard_(guard) {}

  Status prompt(std::string_view, const Verdict& verdict) override {
    OrderedJson line = {{"type", "prompt"}};
    add_verdict(guard_, verdict, line);
    return print(line);
  }

  Status token(const JudgedToken& token, std::string_view text, Risk) override {
    return print_token(token, OrderedJson(std::string(text)));
  }

  Status flag(const JudgedToken& token, const Verdict&, bool withheld) override {
    flagged_ = token.index;
    if (withheld) return print_token(token, nullptr);
    return {};
  }

  Status end(const Verdict&, const Verdict& response, bool stopped) override {
    OrderedJson line = {{"type", "response"}};
    add_verdict(guard_, response, line);
    line["stopped"] = stopped;
    return print(line);
  }

  Status failed(const Error& error) override {
    OrderedJson line = {{"type", "error"}};
    line["error"] = {{"code", error_code_name(error.code)}, {"message", error.message}};
    return print(line);
  }

 private:
  Status print_token(const JudgedToken& token, const OrderedJson& text) {
    OrderedJson line = {{"type", "token"}};
    formats::add_token(guard_, token, text, line);
    line["flagged"] = flagged_ == token.index;
    return print(line);
  }

  Status print(const OrderedJson& line) {
    QG_CHECK_OK(output_.write(to_line(line) + "\n"));
    return output_.flush();
  }

  Output& output_;
  const Guard& guard_;
  std::optional<std::size_t> flagged_;
};

}  // namespace

std::unique_ptr<StreamView> text_view(Output& output, const Guard& guard, Palette palette) {
  return std::make_unique<TextView>(output, guard, palette);
}

std::unique_ptr<StreamView> json_view(Output& output, const Guard& guard) {
  return std::make_unique<JsonView>(output, guard);
}

}  // namespace qwen3guard::apps
