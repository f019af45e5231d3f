// A request for a chat completion, from its prompt to the last byte of its answer.
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/try.h"
#include "formats/verdict_json.h"
#include "gateway/azure_annotations.h"
#include "gateway/chat_request.h"
#include "gateway/completion_body.h"
#include "gateway/completion_stream.h"
#include "gateway/exchange.h"
#include "server/errors.h"
#include "server/request_id.h"

namespace qwen3guard::gateway {
namespace {

using formats::OrderedJson;
using server::BodyStream;
using server::Metrics;

constexpr Metrics::Counter kOutcomes = {"gateway_outcomes_total",
                                        "Guarded requests, by how they ended.", "outcome"};
constexpr Metrics::Counter kLeaked = {
    "gateway_leaked_characters_total",
    "Characters that were sent from where mode hold would have stopped.", nullptr};
constexpr Metrics::Counter kRollBacks = {"gateway_rollbacks_total",
                                         "Flagged answers taken back to be written anew.", nullptr};
constexpr Metrics::Counter kWaitTokens = {
    "gateway_wait_tokens_total", "Buffers that readers of answers waited for, in tokens.", nullptr};
constexpr Metrics::Counter kAdditionalWaitTokens = {
    "gateway_additional_wait_tokens_total", "The same without each answer's first.", nullptr};

bool is_event_stream(const UpstreamHead& head) {
  return head.header("content-type").starts_with("text/event-stream");
}

bool is_compressed(const UpstreamHead& head) {
  const auto coding = head.header("content-encoding");
  return !coding.empty() && coding != "identity";
}

// Steps run one after the other, on workers where the model is needed and on the upstream's thread
// elsewhere; only the prompt's verdict and the head of the answer arrive in any order. Whoever is
// to take the next step keeps the exchange alive.
class ChatExchange : public std::enable_shared_from_this<ChatExchange> {
 public:
  ChatExchange(std::shared_ptr<Gateway> gateway, server::Request request, std::string path,
               server::Respond respond)
      : gateway_(std::move(gateway)),
        request_(std::move(request)),
        path_(std::move(path)),
        answer_(std::move(respond)),
        policy_(service().policy()),
        guard_(gateway_->options.guard) {
    ++gateway_->guarded;
  }
  ~ChatExchange() {
    if (body_) body_->abort();  // unless it has ended
    if (call_) call_->cancel();
    hold(0);
    --gateway_->guarded;
  }

  void start() {
    if (request_.departure) {
      request_.departure->watch([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->client_gone();
      });
    }
    if (gateway_->guarded > options().streams) {
      return cannot_judge(Outcome::kOverloaded, overloaded());
    }
    if (!options().prompt_first) ask_upstream();
    if (!on_worker([this] { judge_prompt(); })) cannot_judge(Outcome::kOverloaded, overloaded());
  }

 private:
  enum class Prompt { kUnknown, kPasses, kUnjudged };

  const GatewayOptions& options() const { return gateway_->options; }
  server::Service& service() const { return gateway_->parts.service; }

  bool annotates() const { return guard_.annotations == Annotations::kAzure; }

  // Runs `step` on a worker; false if as much waits there as may.
  template <typename Step>
  [[nodiscard]] bool on_worker(Step step) {
    return gateway_->parts.workers.submit([self = shared_from_this(), step] {
      try {
        step();
      } catch (const std::exception&) {
        self->breaks({ErrorCode::kIo, "no memory is left to judge this answer"});
      }
    });
  }

  static Error overloaded() {
    return {ErrorCode::kOverloaded, "as much is being judged as may be; try again later"};
  }

  void ask_upstream() {
    start_call(gateway_->forwarded(request_, path_), [this](Result<UpstreamHead> head) {
      {
        const std::lock_guard lock(mutex_);
        head_ = std::move(head);
      }
      proceed();
    });
  }

  // In place of the call under way, if any. `taken` finds its own one in call_.
  void start_call(UpstreamRequest request, std::function<void(Result<UpstreamHead>)> taken) {
    auto head = [self = shared_from_this(), taken = std::move(taken)](
                    const std::shared_ptr<UpstreamCall>&, Result<UpstreamHead> result) {
      { const std::lock_guard until_started(self->mutex_); }
      taken(std::move(result));
    };
    const std::lock_guard lock(mutex_);
    if (call_) call_->cancel();
    call_ = gateway_->upstream->start(std::move(request), std::move(head));
    if (over_) call_->cancel();
  }

  void judge_prompt() {
    auto chat = parse_chat_request(request_.body, options().choices);
    if (!chat.ok()) {
      // Other errors are those of a request that no upstream takes.
      if (chat.error().code == ErrorCode::kUnsupported) {
        return cannot_judge(Outcome::kRefused, chat.error());
      }
      return finish(Outcome::kRefused, server::error_response(chat.error()));
    }
    choose_guard(chat->model);
    const Status opened = open_filters(*chat);
    if (!opened.ok()) return cannot_judge(Outcome::kGuardFailed, opened.error());
    if (prompt_verdict_->decision == Decision::kBlock &&
        guard_.filter.mode != ResponseMode::kAudit) {
      return block_prompt();
    }
    prompt_passes(Prompt::kPasses);
  }

  // What cannot be judged is a matter of the gateway's own options: rules ask for the model.
  void choose_guard(const std::string& model) {
    const auto rules = gateway_->rules();
    const Rule* rule =
        rules ? rules->find({path_, model, request_.client, request_.headers}) : nullptr;
    if (rule == nullptr) return;
    policy_ = rule->policy;
    guard_ = rule->applied_to(std::move(guard_));
  }

  Status open_filters(const ChatRequest& chat) {
    FilterOptions filter = guard_.filter;
    if (guard_.rolls_back()) filter.buffer_tokens = guard_.roll_back.buffer;
    for (std::size_t i = 0; i < chat.choices; ++i) {
      QG_TRY(Session session, service().guard().open(chat.prompt, policy_));
      if (i == 0) {
        prompt_verdict_ = session.prompt();
        service().metrics().verdict(*prompt_verdict_);
      }
      filters_.emplace_back(std::move(session), policy_, filter);
      if (chat.prefill) {
        filters_.back().add(true, chat.prefill->reasoning_content.value_or(""));
        filters_.back().add(false, chat.prefill->content);
      }
    }
    return {};
  }

  void prompt_passes(Prompt how) {
    {
      const std::lock_guard lock(mutex_);
      prompt_ = how;
    }
    if (options().prompt_first) ask_upstream();
    proceed();
  }

  void block_prompt() {
    if (guard_.replaces()) {
      return finish(Outcome::kPromptBlocked, replacement_answer());
    }
    server::Response response =
        server::error_response(400, "content_filter", service().reason(*prompt_verdict_, policy_));
    response.decision = Decision::kBlock;
    if (annotates()) {
      nlohmann::json body = nlohmann::json::parse(response.body);
      body["error"]["innererror"] = {
          {"code", "ResponsibleAIPolicyViolation"},
          {"content_filter_result", azure_results(*prompt_verdict_, true)}};
      response.body = body.dump();
    }
    finish(Outcome::kPromptBlocked, std::move(response));
  }

  // The operator's text as an ordinary answer, in the shape that was asked for.
  server::Response replacement_answer() const {
    const nlohmann::json asked = nlohmann::json::parse(request_.body, nullptr, false);
    const bool streams = asked.value("stream", nlohmann::json(false)) == true;
    const OrderedJson message = {{"role", "assistant"}, {"content", guard_.replacement}};
    OrderedJson answer = {{"id", server::random_id("chatcmpl-")},
                          {"object", streams ? "chat.completion.chunk" : "chat.completion"},
                          {"created", std::time(nullptr)},
                          {"model", asked.value("model", nlohmann::json(service().model()))}};
    answer["choices"] = {{{"index", 0},
                          {streams ? "delta" : "message", message},
                          {"finish_reason", "content_filter"},
                          {"qwen3guard", verdict_json()(*prompt_verdict_)}}};
    if (annotates()) answer["prompt_filter_results"] = azure_prompt_results(*prompt_verdict_, true);
    server::Response response{.body = formats::to_line(answer), .decision = Decision::kBlock};
    if (streams) {
      response.body = sse_event(response.body) + sse_event("[DONE]");
      response.content_type = "text/event-stream";
    }
    return response;
  }

  // Goes on once both the prompt's verdict and the upstream's head are there.
  void proceed() {
    {
      const std::lock_guard lock(mutex_);
      if (over_ || proceeded_ || !head_ || prompt_ == Prompt::kUnknown) return;
      proceeded_ = true;
    }
    if (!head_->ok()) {
      const bool late = head_->error().code == ErrorCode::kTimeout;
      return finish(late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamFailed,
                    upstream_failure(head_->error()));
    }
    const UpstreamHead& head = **head_;
    if (head.status < 200 || head.status > 299) return pass_on(Outcome::kUpstreamError);
    if (prompt_ == Prompt::kUnjudged) return pass_on(Outcome::kFailedOpen);
    if (is_compressed(head)) {
      return refuse_answer("the upstream's answer is compressed, though it was asked not to be");
    }
    if (!is_event_stream(head)) return read_plain();
    stream_.emplace(std::move(filters_), guard_, verdict_json());
    stream_->annotate_prompt(*prompt_verdict_);
    body_ = std::make_shared<BodyStream>();
    server::Response response = response_from(head);
    response.stream = body_;
    answer_(std::move(response));
    read_stream();
  }

  VerdictJson verdict_json() const {
    return [this](const Verdict& verdict) { return service().verdict_json(verdict, policy_); };
  }

  // What is no completion, or must not be judged, goes on as it comes.
  void pass_on(Outcome outcome) {
    relay(
        gateway_, call_, response_from(**head_),
        [this](server::Response response) { answer_(std::move(response)); },
        [self = shared_from_this(), outcome](const Status&) { self->finish(outcome, {}); });
  }

  void refuse_answer(std::string_view message) {
    finish(Outcome::kUpstreamFailed, server::error_response(502, "upstream_failed", message));
  }

  // A stream: read, judge, send, and read on when the client has taken most of it.

  void read_stream() {
    call_->read([self = shared_from_this()](Result<std::string> bytes) {
      if (!bytes.ok()) return self->stream_breaks(bytes.error());
      const auto step = [exchange = self.get(), taken = std::move(*bytes)] {
        exchange->guard_bytes(taken);
      };
      if (self->on_worker(step)) return;
      if (!self->guard_.fails_open()) return self->breaks(overloaded());
      self->stream_->give_up();  // what follows needs no model
      step();
    });
  }

  void guard_bytes(const std::string& bytes) {
    const Status fed = bytes.empty() ? stream_->feed_end() : stream_->feed(bytes);
    body_->write(stream_->take());
    if (!fed.ok()) return stream_breaks(fed.error());
    const Status judged = stream_->judge();
    if (!judged.ok()) return breaks(judged.error());
    body_->write(stream_->take());
    hold(stream_->held_bytes());
    if (stream_->wants_retry()) return retry_stream();
    if (stream_->ended() || bytes.empty()) return end_stream(stream_outcome());
    body_->when_below(options().buffered_bytes,
                      [self = shared_from_this()] { self->read_stream(); });
  }

  // Counts the stream's held bytes anew.
  void hold(std::size_t bytes) {
    gateway_->held += bytes - held_;
    held_ = bytes;
  }

  Outcome stream_outcome() const {
    return stream_->blocked()       ? Outcome::kFlagged
           : stream_->failed_open() ? Outcome::kFailedOpen
           : retries_ > 0           ? Outcome::kRecovered
                                    : Outcome::kComplete;
  }

  void stream_breaks(const Error& error) {
    const bool late = error.code == ErrorCode::kTimeout;
    stream_->fail(late ? "upstream_timeout" : "upstream_failed", error.message);
    end_stream(late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamFailed);
  }

  void end_stream(Outcome outcome) {
    body_->write(stream_->take());
    for (const Verdict& verdict : stream_->verdicts()) add_verdict(verdict);
    leaked_ = stream_->leaked_characters();
    if (leaked_ > 0) service().metrics().count(kLeaked, "", leaked_);
    // Who has seen the end finds it counted.
    finish(outcome, {});
    body_->end();
  }

  // A plain answer: read whole, then judge.

  void read_plain() {
    call_->read([self = shared_from_this()](Result<std::string> bytes) {
      if (!bytes.ok()) {
        const bool late = bytes.error().code == ErrorCode::kTimeout;
        return self->finish(late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamFailed,
                            upstream_failure(bytes.error()));
      }
      if (bytes->empty()) {
        const bool taken = self->on_worker([exchange = self.get()] { exchange->guard_plain(); });
        if (!taken) self->cannot_judge(Outcome::kOverloaded, overloaded());
        return;
      }
      self->plain_ += *bytes;
      if (self->plain_.size() > self->options().plain_bytes) {
        return self->refuse_answer("the upstream's answer is longer than the gateway takes");
      }
      self->read_plain();
    });
  }

  void guard_plain() {
    auto body = CompletionBody::parse(plain_, filters_.size());
    if (!body.ok()) return refuse_answer(body.error().message);
    auto guarded = std::move(*body).guard(filters_, *prompt_verdict_, guard_, verdict_json());
    if (!guarded.ok()) return cannot_judge(Outcome::kGuardFailed, guarded.error());
    server::Response response = response_from(**head_);
    response.body = std::move(guarded->body);
    if (guarded->wants_retry) return retry_plain(guarded->verdicts.front(), std::move(response));
    for (const Verdict& verdict : guarded->verdicts) add_verdict(verdict);
    response.decision = decision_;
    finish(guarded->blocked       ? Outcome::kFlagged
           : guarded->failed_open ? Outcome::kFailedOpen
           : retries_ > 0         ? Outcome::kRecovered
                                  : Outcome::kComplete,
           std::move(response));
  }

  // A flagged answer is taken back, and another request asks for what follows that which was sent.

  void retry_stream() {
    const std::string flagged = stream_->flagged_answer();
    const Status rolled = stream_->roll_back(rest_begins_with(guard_.roll_back.prefill));
    if (!rolled.ok()) return breaks(rolled.error());
    ask_for_rest(flagged, stream_->sent_answer(), [this](const UpstreamHead* head) {
      if (head != nullptr && is_event_stream(*head)) return read_stream();
      stream_->end_flagged();
      end_stream(Outcome::kFlagged);
    });
  }

  // `ended`: the answer, should nothing come of it.
  void retry_plain(const Verdict& verdict, server::Response ended) {
    ResponseFilter& filter = filters_.front();
    const std::string flagged(filter.answer());
    if (const Status rolled = filter.roll_back(); !rolled.ok()) return breaks(rolled.error());
    const std::string sent(filter.released_answer());
    filter.add(false, rest_begins_with(guard_.roll_back.prefill));
    ended.decision = verdict.decision;
    flagged_answer_.emplace(verdict, std::move(ended));
    plain_.clear();
    ask_for_rest(flagged, sent, [this](const UpstreamHead* head) {
      if (head != nullptr && !is_event_stream(*head)) return read_plain();
      end_as_flagged();
    });
  }

  void end_as_flagged() {
    add_verdict(flagged_answer_->first);
    finish(Outcome::kFlagged, std::move(flagged_answer_->second));
  }

  // `taken` gets the head of an answer that can be judged, or null.
  void ask_for_rest(std::string_view flagged, std::string_view sent,
                    std::function<void(const UpstreamHead*)> taken) {
    ++retries_;
    service().metrics().count(kRollBacks, "");
    UpstreamRequest request = gateway_->forwarded(request_, path_);
    request.body = request_for_rest(request_.body, flagged, sent, guard_.roll_back.prefill);
    start_call(std::move(request), [taken = std::move(taken)](Result<UpstreamHead> head) {
      const bool fits =
          head.ok() && head->status >= 200 && head->status <= 299 && !is_compressed(*head);
      taken(fits ? &*head : nullptr);
    });
  }

  // Ends.

  // Something cannot be judged, and nothing has been sent yet: the operator has said what then.
  void cannot_judge(Outcome outcome, const Error& error) {
    service().metrics().error(error_code_name(error.code));
    if (!guard_.fails_open()) return finish(outcome, server::error_response(error));
    if (flagged_answer_) return end_as_flagged();  // the rest of it is no answer
    if (!plain_.empty()) {
      server::Response response = response_from(**head_);
      response.body = std::move(plain_);
      return finish(Outcome::kFailedOpen, std::move(response));
    }
    bool asked;
    {
      const std::lock_guard lock(mutex_);
      asked = call_ != nullptr;
    }
    if (!asked && !options().prompt_first) ask_upstream();
    prompt_passes(Prompt::kUnjudged);
  }

  // The guard failed in the middle of an answer: nothing more of it is sent.
  void breaks(const Error& error) {
    service().metrics().error(error_code_name(error.code));
    if (!stream_) return finish(Outcome::kGuardFailed, server::error_response(error));
    stream_->fail("guard_failed", error.message);
    end_stream(Outcome::kGuardFailed);
  }

  void client_gone() { finish(Outcome::kClientGone, server::error_response(503, "gone", "")); }

  void add_verdict(const Verdict& verdict) {
    service().metrics().verdict(verdict);
    decision_ = server::stricter(decision_, verdict.decision);
    if (!flagged_ && verdict.flagged) flagged_ = verdict;
  }

  // The exchange is over; `response` is for a client that has none yet.
  void finish(Outcome outcome, server::Response response) {
    std::shared_ptr<UpstreamCall> call;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      over_ = true;
      call = call_;
    }
    service().metrics().count(kOutcomes, outcome_name(outcome));
    if (outcome != Outcome::kClientGone) count_waiting();
    log(outcome);
    answer_(std::move(response));
    if (call) call->cancel();
  }

  void count_waiting() {
    if (!guard_.rolls_back() || !decision_) return;
    const std::size_t buffer = guard_.roll_back.buffer;
    service().metrics().count(kWaitTokens, "", buffer * (retries_ + 1));
    if (retries_ > 0) service().metrics().count(kAdditionalWaitTokens, "", buffer * retries_);
  }

  void log(Outcome outcome) const {
    OrderedJson line = {{"request_id", request_.id}, {"outcome", outcome_name(outcome)}};
    if (!request_.client.empty()) line["client"] = request_.client;
    // When the client goes, a worker may be at work on the rest.
    if (outcome == Outcome::kClientGone) return gateway_->parts.log.report("guarded", line);
    line["policy"] = policy_.name();
    if (prompt_verdict_) line["prompt"] = decision_name(prompt_verdict_->decision);
    if (decision_) line["response"] = decision_name(*decision_);
    if (flagged_) {
      line["flagged"] = formats::flag_json(flagged_->flagged);
      line["category"] =
          formats::category_json(service().guard(), Target::kResponse, flagged_->category);
    }
    if (guard_.rolls_back() && decision_) add_waiting(guard_.roll_back, retries_, line);
    if (leaked_ > 0) line["leaked_characters"] = leaked_;
    gateway_->parts.log.report("guarded", line);
  }

  const std::shared_ptr<Gateway> gateway_;
  const server::Request request_;
  const std::string path_;
  Answering answer_;

  // The request's own, once its prompt is being judged.
  Policy policy_;
  AnswerOptions guard_;

  std::mutex mutex_;
  // Guarded by mutex_ until both are there.
  std::shared_ptr<UpstreamCall> call_;
  std::optional<Result<UpstreamHead>> head_;
  Prompt prompt_ = Prompt::kUnknown;
  bool proceeded_ = false;
  bool over_ = false;

  std::vector<ResponseFilter> filters_;
  std::optional<Verdict> prompt_verdict_;
  std::optional<CompletionStream> stream_;
  std::shared_ptr<BodyStream> body_;
  std::string plain_;
  std::size_t retries_ = 0;
  std::optional<std::pair<Verdict, server::Response>> flagged_answer_;  // plain, before a retry
  std::optional<Decision> decision_;
  std::optional<Verdict> flagged_;
  std::size_t leaked_ = 0;
  std::size_t held_ = 0;
};

}  // namespace

void guard_chat(const std::shared_ptr<Gateway>& gateway, server::Request request,
                const std::string& path, server::Respond respond) {
  std::make_shared<ChatExchange>(gateway, std::move(request), path, std::move(respond))->start();
}

}  // namespace qwen3guard::gateway
