#include "training/batches.h"

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "bytes/utf8.h"
#include "support.h"
#include "training/augment.h"
#include "training/bag_start.h"
#include "training/linear_baseline.h"

namespace qwen3guard::training {
namespace {

TEST(Examples, AVerdictIsReadWhereTheTemplateSays) {
  const auto tokenizer = tiny_tokenizer();
  const auto end = *tokenizer->added_token("<|im_end|>");
  const Example prompt = make_example(*tokenizer, {{Role::kUser, "hi"}}, Risk::kSafe);
  EXPECT_EQ(prompt.sequence.ids.back(), end);
  EXPECT_EQ(prompt.sequence.first_judged, prompt.sequence.ids.size() - 1);

  const Example response =
      make_example(*tokenizer, {{Role::kUser, "hi"}, {Role::kAssistant, "yes"}}, Risk::kSafe);
  EXPECT_EQ(response.sequence.ids.back(), end);
  // Three bytes and the closing token.
  ASSERT_EQ(response.sequence.ids.size() - response.sequence.first_judged, 4U);
  EXPECT_EQ(
      tokenizer->decode(std::vector{response.sequence.ids[response.sequence.first_judged]}).value(),
      "y");
}

TEST(Examples, MarkedSpansStartAtTheirToken) {
  const auto tokenizer = tiny_tokenizer();
  // The span starts at the third character; the first two take five bytes.
  const Example e = make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "你ébad"}},
                                 Risk::kUnsafe, std::nullopt, {{4, 5}, {2, 3}});
  ASSERT_TRUE(e.sequence.onset.has_value());
  EXPECT_EQ(*e.sequence.onset - e.sequence.first_judged, 5U);
}

TEST(Batch, LossesAreOnlyWhereTheyBelong) {
  const auto tokenizer = tiny_tokenizer();
  const std::vector<Example> examples = {
      make_example(*tokenizer, {{Role::kUser, "safe"}}, Risk::kSafe, Category::kPii),
      make_example(*tokenizer, {{Role::kUser, "bad"}}, Risk::kUnsafe, Category::kJailbreak),
      make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "abc"}},
                   Risk::kControversial, Category::kJailbreak),
      make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "ok bad"}}, Risk::kUnsafe,
                   Category::kViolent, {{3, 6}})};
  std::vector<View> views;
  for (const auto& e : examples) views.push_back(view_of(e));
  const Batch batch = make_batch(views, 7, {});
  EXPECT_EQ(batch.length, bucket_length(examples[3].sequence.ids.size()));
  ASSERT_EQ(batch.queries.size(), 2U);
  EXPECT_EQ(batch.queries[0].category, -1);  // Safe: no category
  EXPECT_EQ(batch.queries[1].category, 8);
  const auto end = *tokenizer->added_token("<|im_end|>");
  for (const auto& q : batch.queries)
    EXPECT_EQ(batch.ids[static_cast<std::size_t>(q.position)], end);
  ASSERT_EQ(batch.responses.size(), 4U + 7U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(batch.responses[i].category, -1);  // no Jailbreak for responses
    EXPECT_EQ(batch.responses[i].target, (RiskTarget{0, 0, 1}));
    EXPECT_NEAR(batch.responses[i].weight, 0.5f / 4, 1e-6);  // Controversial counts half
  }
  for (std::size_t i = 4; i < 11; ++i) {
    const bool before = i < 7;  // "ok "
    EXPECT_EQ(batch.responses[i].target, (before ? RiskTarget{1, 0, 0} : RiskTarget{0, 1, 0})) << i;
    EXPECT_EQ(batch.responses[i].category, before ? -1 : 0) << i;
    EXPECT_EQ(batch.responses[i].sequence, 1);
  }
  // Padding is right of the text, and nothing is judged on it.
  for (std::size_t r = 0; r < batch.rows; ++r) {
    for (std::size_t i = 0; i < batch.length; ++i) {
      EXPECT_EQ(batch.ids[r * batch.length + i] == 7,
                i >= static_cast<std::size_t>(batch.lengths[r]));
    }
  }
}

TEST(Batch, TokenLabelRules) {
  LossOptions options;
  const auto weights = [&](TokenLabelRule rule, std::size_t n) {
    options.rule = rule;
    const auto w = token_weights(n, options);
    EXPECT_NEAR(std::accumulate(w.begin(), w.end(), 0.0f), 1.0f, 1e-5f);
    return w;
  };
  options.ramp_tokens = 4;
  options.last_tokens = 2;
  options.last_fraction = 0.5;
  EXPECT_EQ(weights(TokenLabelRule::kAll, 5)[0], 0.2f);
  EXPECT_NEAR(weights(TokenLabelRule::kRamp, 4)[3], 0.4f, 1e-6f);
  const auto warm = weights(TokenLabelRule::kWarmRamp, 8);
  EXPECT_NEAR(warm[3], warm[7], 1e-6f);
  EXPECT_NEAR(warm[0] * 4, warm[7], 1e-6f);
  const auto last = weights(TokenLabelRule::kLastTokens, 5);
  EXPECT_EQ(last[2], 0.0f);
  EXPECT_EQ(last[3], 0.5f);
  EXPECT_EQ(weights(TokenLabelRule::kLastTokens, 1)[0], 1.0f);
  const auto half = weights(TokenLabelRule::kLastFraction, 4);
  EXPECT_EQ(half[1], 0.0f);
  EXPECT_EQ(half[2], 0.5f);
  EXPECT_EQ(weights(TokenLabelRule::kLastFraction, 1)[0], 1.0f);
}

TEST(Batch, SoftRampMovesTheTargetFromSafeToTheLabel) {
  const auto tokenizer = tiny_tokenizer();
  const Example e =
      make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "abcdef"}}, Risk::kUnsafe);
  LossOptions options;
  options.rule = TokenLabelRule::kSoftRamp;
  options.ramp_tokens = 4;
  const Batch batch = make_batch({view_of(e)}, 0, options);
  ASSERT_EQ(batch.responses.size(), 7u);
  for (std::size_t i = 0; i < 7; ++i) {
    const auto& judged = batch.responses[i];
    EXPECT_EQ(judged.position, static_cast<std::int64_t>(e.sequence.first_judged + i));
    EXPECT_EQ(judged.target[2], 0.0f);
    EXPECT_NEAR(judged.weight, 1.0f / 7, 1e-6f);
    EXPECT_NEAR(judged.target[1], std::min(1.0f, static_cast<float>(i) / 4), 1e-6f);
  }
}

TEST(Batch, ATeacherSoftensLabelsAndJudgesRowsWithoutOne) {
  const auto tokenizer = tiny_tokenizer();
  Example safe = make_example(*tokenizer, {{Role::kUser, "q"}}, Risk::kSafe);
  Example unsafe = make_example(*tokenizer, {{Role::kUser, "q"}}, Risk::kUnsafe);
  Example unknown =
      make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "a"}}, Risk::kSafe);
  unknown.label.reset();
  LossOptions options;
  options.teacher = 0.4;
  options.response_class_weights = {3, 1, 1};
  // Without a teacher the label stands alone, and a row without either is text only.
  const Batch plain = make_batch({view_of(safe), view_of(unsafe), view_of(unknown)}, 0, options);
  ASSERT_EQ(plain.queries.size(), 2u);
  EXPECT_EQ(plain.queries[0].target[1], 0.0f);
  EXPECT_EQ(plain.queries[1].target[1], 1.0f);
  EXPECT_TRUE(plain.responses.empty());

  safe.teacher = 0.5f;
  unsafe.teacher = 0.25f;
  unknown.teacher = 0.75f;
  const Batch taught = make_batch({view_of(safe), view_of(unsafe), view_of(unknown)}, 0, options);
  ASSERT_EQ(taught.queries.size(), 2u);
  EXPECT_NEAR(taught.queries[0].target[1], 0.2f, 1e-6f);
  EXPECT_NEAR(taught.queries[1].target[1], 0.7f, 1e-6f);
  ASSERT_EQ(taught.response_flagged.size(), 1u);
  // Class weights are costs: the odds of 0.75 to 0.25 fall by 3, and the row counts their mean.
  EXPECT_NEAR(taught.response_flagged[0], 0.5f, 1e-6f);
  EXPECT_NEAR(taught.response_weights[0], 0.25f * 3 + 0.75f * 1, 1e-5f);
  float weight = 0;
  for (const auto& judged : taught.responses) {
    weight += judged.weight;
    EXPECT_NEAR(judged.target[1], 0.5f, 1e-6f);
  }
  EXPECT_NEAR(weight, 0.25f * 3 + 0.75f * 1, 1e-5f);
}

TEST(Batch, ALanguageMayHaveItsOwnSafeWeightForPrompts) {
  const auto tokenizer = tiny_tokenizer();
  Example prompt = make_example(*tokenizer, {{Role::kUser, "q"}}, Risk::kUnsafe);
  Example answer =
      make_example(*tokenizer, {{Role::kUser, "q"}, {Role::kAssistant, "a"}}, Risk::kUnsafe);
  prompt.teacher = answer.teacher = 0.5f;
  LossOptions options;
  options.teacher = 1.0;
  options.class_weights = options.response_class_weights = {1, 1, 1};
  options.safe_weight_of_language = {{"zh", 3.0}};
  for (const char* language : {"en", "zh"}) {
    prompt.language = answer.language = language;
    const Batch b = make_batch({view_of(prompt), view_of(answer)}, 0, options);
    ASSERT_EQ(b.queries.size(), 1u);
    EXPECT_NEAR(b.queries[0].target[1], prompt.language == "zh" ? 0.25f : 0.5f, 1e-6f);
    EXPECT_NEAR(b.response_flagged.at(0), 0.5f, 1e-6f);
  }
}

TEST(Batch, LongTextsAreCutWithTheirEndKept) {
  const auto tokenizer = tiny_tokenizer();
  DataMix mix;
  mix.max_prompt_tokens = 20;
  mix.max_response_tokens = 30;
  mix.max_context_tokens = 25;
  const Example prompt =
      make_example(*tokenizer, {{Role::kUser, std::string(500, 'a')}}, Risk::kSafe);
  View cut = view_of(prompt);
  crop(cut, mix, 0, nullptr);
  EXPECT_EQ(cut.ids.size(), 20U);
  EXPECT_EQ(cut.first_judged, 19U);
  EXPECT_EQ(cut.ids.back(), *tokenizer->added_token("<|im_end|>"));
  const Example response = make_example(
      *tokenizer, {{Role::kUser, std::string(500, 'a')}, {Role::kAssistant, std::string(500, 'b')}},
      Risk::kSafe);
  cut = view_of(response);
  crop(cut, mix, 0, nullptr);
  EXPECT_EQ(cut.first_judged, 25U);
  EXPECT_EQ(cut.ids.size(), 55U);
  EXPECT_EQ(cut.ids.back(), *tokenizer->added_token("<|im_end|>"));
  EXPECT_EQ(tokenizer->decode(std::vector{cut.ids[25]}).value(), "b");
}

TEST(BatchStream, SeeksToTheSameBatches) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  auto first = BatchStream::open(set.train, set.sources, *tokenizer, tiny_recipe(), 3);
  auto second = BatchStream::open(set.train, set.sources, *tokenizer, tiny_recipe(), 3);
  ASSERT_TRUE(first.ok() && second.ok());
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(first->next().ok());
  const auto position = first->position();
  second->seek(position);
  // Far enough to cross into the next pool.
  std::set<std::uint64_t> pools;
  for (int i = 0; i < 500; ++i) {
    const auto a = first->next(), b = second->next();
    ASSERT_TRUE(a.ok() && b.ok());
    ASSERT_EQ(a->ids, b->ids);
    pools.insert(first->position().pool);
  }
  EXPECT_GE(pools.size(), 2U);
}

TEST(BatchStream, SharesFollowSizeAndFactor) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  Recipe recipe = tiny_recipe();
  recipe.data.factors["responses"] = 3.0;
  recipe.data.size_exponent = 0.0;
  const auto stream = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3);
  ASSERT_TRUE(stream.ok());
  EXPECT_NEAR(stream->source_shares()[1], 0.75, 1e-9);
}

TEST(BatchStream, SplicedTextsHaveTheTeachersOpinionOnly) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  Recipe recipe = tiny_recipe();
  recipe.augmentation = {};
  recipe.augmentation.lower = recipe.augmentation.replace_tokens = 0;
  recipe.augmentation.splice = 1;
  std::size_t asked = 0;
  auto stream = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3,
                                  [&](const Conversation& messages, auto ends, auto) {
                                    ++asked;
                                    const bool prompt = messages.back().role == Role::kUser;
                                    return std::vector<float>(ends.size(), prompt ? 0.25f : 0.75f);
                                  });
  ASSERT_TRUE(stream.ok());
  std::size_t soft = 0, hard = 0;
  for (int i = 0; i < 20; ++i) {
    const auto batch = stream->next();
    ASSERT_TRUE(batch.ok());
    for (const auto& judged : batch->queries) {
      (judged.target[1] == 0.25f ? soft : hard) += 1;
      EXPECT_TRUE(judged.target[1] == 0.25f || judged.target[1] == 0 || judged.target[1] == 1);
    }
    for (const float target : batch->response_flagged)
      EXPECT_TRUE(target == 0.75f || target == 0 || target == 1) << target;
  }
  EXPECT_GT(asked, 0u);
  // A partner of the same target is not always found in four tries.
  EXPECT_GT(soft, hard * 4);
  // Without a teacher nobody could label a splice.
  auto plain = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3);
  ASSERT_TRUE(plain.ok());
  const auto batch = plain->next();
  ASSERT_TRUE(batch.ok());
  for (const auto& judged : batch->queries)
    EXPECT_TRUE(judged.target[1] == 0 || judged.target[1] == 1);
}

TEST(BatchStream, AnswersUnderAnotherQuestionHaveTheTeachersOpinionOnly) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  std::set<std::pair<std::string, std::string>> known;
  for (const auto& e : set.train)
    if (e.target == Target::kResponse)
      known.emplace(e.messages.front().content, e.messages.back().content);
  Recipe recipe = tiny_recipe();
  recipe.augmentation = {};
  recipe.augmentation.lower = recipe.augmentation.replace_tokens = 0;
  recipe.augmentation.other_question = 1;
  std::size_t fresh = 0;
  auto stream =
      BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3,
                        [&](const Conversation& messages, auto ends, auto) {
                          EXPECT_EQ(messages.size(), 2u);
                          fresh += !known.contains({messages[0].content, messages[1].content});
                          return std::vector<float>(ends.size(), 0.75f);
                        });
  ASSERT_TRUE(stream.ok());
  for (int i = 0; i < 20; ++i) {
    const auto batch = stream->next();
    ASSERT_TRUE(batch.ok());
    for (const float target : batch->response_flagged) EXPECT_EQ(target, 0.75f);
    for (const auto& judged : batch->queries)
      EXPECT_TRUE(judged.target[1] == 0 || judged.target[1] == 1);
  }
  EXPECT_GT(fresh, 0u);
}

// The teacher of this test says how many bytes it was shown.
std::vector<float> measure(const Conversation& /*messages*/, std::span<const std::uint32_t> ends,
                           std::optional<std::string_view> /*trained_id*/) {
  std::vector<float> result;
  for (const auto end : ends) result.push_back(static_cast<float>(end) / 4096.0f);
  return result;
}

TEST(BatchStream, EveryBeginningOfAPromptHasTheTeachersOpinionOfIt) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  Recipe recipe = tiny_recipe();
  recipe.augmentation = {};
  recipe.augmentation.lower = recipe.augmentation.replace_tokens = 0;
  recipe.augmentation.random_crop = 0;
  recipe.loss.prefix = 1;
  auto stream = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3, measure);
  ASSERT_TRUE(stream.ok());
  // A batch may hold answers only.
  auto batch = stream->next();
  while (batch.ok() && batch->queries.empty()) batch = stream->next();
  ASSERT_TRUE(batch.ok());
  ASSERT_FALSE(batch->prefixes.empty());
  double weight = 0;
  for (const auto& judged : batch->prefixes) {
    // The bytes of the content up to this token, counted from the ids.
    const auto row = judged.position / static_cast<std::int64_t>(batch->length);
    const auto* first = batch->ids.data() + row * static_cast<std::int64_t>(batch->length);
    constexpr std::int64_t kOpening = 3;
    std::vector<tokens::TokenId> content;
    for (const auto* id = first + kOpening; id <= batch->ids.data() + judged.position; ++id)
      content.push_back(static_cast<tokens::TokenId>(*id));
    const auto text = tokenizer->decode(content);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(judged.target[1], static_cast<float>(text->size()) / 4096.0f);
    EXPECT_EQ(judged.target[0], 1.0f - judged.target[1]);
    weight += static_cast<double>(judged.weight);
  }
  // A prompt counts once, however long it is.
  double expected = 0;
  for (const auto& judged : batch->queries) expected += static_cast<double>(judged.weight);
  EXPECT_NEAR(weight, expected, 1e-4 * expected);
}

TEST(Batch, AnAnswersTokensMayEachHaveTheirOwnOpinion) {
  View view;
  view.ids = {1, 2, 3, 4, 5};
  view.first_judged = 2;
  view.target = Target::kResponse;
  view.label = Risk::kUnsafe;
  view.teacher = 0.9f;
  view.prefix_teacher = {kNoOpinion, kNoOpinion, 0.1f, 0.5f, 0.9f};
  LossOptions options;
  options.rule = TokenLabelRule::kAll;
  options.label_smoothing = 0;
  options.teacher = 0.5;
  options.teacher_by_token = true;
  const Batch batch = make_batch({view}, 0, options);
  ASSERT_EQ(batch.responses.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(batch.responses[i].target[1], 0.5f + 0.5f * view.prefix_teacher[2 + i], 1e-6f);
  EXPECT_TRUE(batch.prefixes.empty());
}

TEST(Linear, TheOpinionOfABeginningIsThatOfTheTextWhichEndsThere) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  std::vector<const Example*> rows;
  for (const auto& e : set.train) rows.push_back(&e);
  LinearOptions options;
  options.buckets_log2 = 16;
  const auto model =
      LinearClassifier::train(rows, std::vector<double>(set.sources.size(), 1.0), options);
  const Conversation whole = {{Role::kUser, "how are things made of words near other words"}};
  const auto found = LinearClassifier::features(whole);
  // After whole words, and before the final letters that stand for an end of the sentence.
  const std::vector<std::uint32_t> ends = {3, 7, 14, 45};
  const auto opinions = model.not_safe(found, ends);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const Conversation cut = {{Role::kUser, whole.front().content.substr(0, ends[i])}};
    EXPECT_NEAR(opinions[i], model.not_safe(cut), 1e-6) << ends[i];
  }
}

TEST(Linear, AnAnswerIsJudgedInTheLightOfItsQuestion) {
  const auto row = [](Risk label, Conversation messages) {
    Example e;
    e.id = messages.front().content + messages.back().content;
    e.label = label;
    e.target = messages.size() == 1 ? Target::kPrompt : Target::kResponse;
    e.messages = std::move(messages);
    return e;
  };
  std::vector<Example> examples;
  for (const std::string place : {"home", "work", "school", "sea"}) {
    examples.push_back(row(Risk::kUnsafe, {{Role::kUser, "poison somebody at " + place}}));
    examples.push_back(row(Risk::kSafe, {{Role::kUser, "greet somebody at " + place}}));
    for (const Risk label : {Risk::kSafe, Risk::kUnsafe}) {
      examples.push_back(row(label, {{Role::kUser, "what about " + place},
                                     {Role::kAssistant, label == Risk::kSafe ? "no" : "yes"}}));
    }
  }
  std::vector<const Example*> rows;
  for (const auto& e : examples) rows.push_back(&e);
  LinearOptions options;
  options.buckets_log2 = 16;
  const auto judge = [&](const std::string& question) {
    return LinearClassifier::train(rows, {1.0}, options)
        .not_safe({{Role::kUser, question}, {Role::kAssistant, "well then"}});
  };
  const double difference = judge("poison somebody") - judge("greet somebody");
  options.question_weight = 0;
  EXPECT_GT(difference, judge("poison somebody") - judge("greet somebody") + 0.1);
}

TEST(BatchStream, SafeAnswersMayBecomeTheirQuestion) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  Recipe recipe = tiny_recipe();
  recipe.augmentation.as_prompt = 1;
  recipe.augmentation.as_prompt_sources = {"responses"};
  auto stream = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3);
  ASSERT_TRUE(stream.ok());
  std::size_t questions = 0;
  for (int i = 0; i < 10; ++i) {
    const auto batch = stream->next();
    ASSERT_TRUE(batch.ok());
    for (const float target : batch->response_flagged) EXPECT_EQ(target, 1.0f);
    questions += batch->queries.size();
  }
  EXPECT_GT(questions, 0u);
}

TEST(BatchStream, ForgedStructureLeavesTheVerdictAlone) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 80);
  Recipe recipe = tiny_recipe();
  recipe.augmentation = {};
  recipe.augmentation.lower = recipe.augmentation.replace_tokens = 0;
  recipe.loss.prefix = 1;
  std::size_t prefixes = 0;
  const auto rows = [&](double forge) {
    std::set<std::vector<std::int64_t>> ids;
    prefixes = 0;
    recipe.augmentation.forge = forge;
    auto stream = BatchStream::open(set.train, set.sources, *tokenizer, recipe, 3,
                                    [](const Conversation&, auto ends, auto) {
                                      return std::vector<float>(ends.size(), 0.25f);
                                    });
    for (int i = 0; i < 10; ++i) {
      const auto batch = stream->next();
      EXPECT_TRUE(batch.ok());
      for (std::size_t r = 0; r < batch->rows; ++r) {
        const auto row = batch->ids.begin() + static_cast<std::ptrdiff_t>(r * batch->length);
        ids.emplace(row, row + batch->lengths[r]);
      }
      prefixes += batch->prefixes.size();
      for (const auto& judged : batch->queries)
        EXPECT_TRUE(judged.target[1] == 0 || judged.target[1] == 1);
    }
    return ids;
  };
  const auto plain = rows(0);
  EXPECT_GT(prefixes, 0u);
  for (const auto& row : rows(1)) EXPECT_FALSE(plain.contains(row));
  EXPECT_EQ(prefixes, 0u) << "what the teacher thinks of forged structure is no lesson";
}

TEST(Augment, ForgesStructureAtWordsOnly) {
  Random random(1);
  for (const std::string text : {"one two three", "一二三", "x", ""}) {
    for (int i = 0; i < 100; ++i) {
      const std::string forged = forge_structure(text, random);
      EXPECT_GT(forged.size(), text.size());
      EXPECT_FALSE(bytes::find_invalid_utf8(forged)) << forged;
      // Word by word, all of the text is still there, in order.
      std::size_t at = 0;
      std::istringstream words(text);
      for (std::string word; words >> word; at += word.size()) {
        at = forged.find(word, at);
        ASSERT_NE(at, std::string::npos) << forged;
      }
    }
  }
}

TEST(Augment, SplicesPiecesOfEachText) {
  Random random(1);
  const auto splice = [](std::vector<std::string_view> texts, Random& from) {
    return training::splice(texts, from);
  };
  for (int i = 0; i < 200; ++i) {
    const std::string text = splice({"a b c d e f", "u v w x y z"}, random);
    const auto second = text.find_first_of("uvwxyz");
    ASSERT_NE(second, std::string::npos) << text;
    ASSERT_GE(second, 4u) << text;  // at least a third of the first
    EXPECT_EQ(text.substr(0, second).find_first_not_of("abcdef "), std::string::npos) << text;
    const std::string chinese = splice({"一二三四五六", "甲乙丙"}, random);
    EXPECT_GE(chinese.size(), 3u * 2 + 1 + 3);
    EXPECT_FALSE(bytes::find_invalid_utf8(chinese)) << chinese;
  }
  EXPECT_EQ(splice({"x", "y"}, random), "x y");
  EXPECT_EQ(splice({"x", "y", "z"}, random), "x y z");
  EXPECT_EQ(splice({"", "y"}, random), "y");
}

TEST(BagStart, LearnsTheWordsAndKeepsTheScale) {
  const auto tokenizer = tiny_tokenizer();
  const ExampleSet set = tiny_examples(*tokenizer, 200);
  auto stream = BatchStream::open(set.train, set.sources, *tokenizer, tiny_recipe(), 3);
  ASSERT_TRUE(stream.ok());
  const Layout layout = make_layout(tiny_recipe().model, tokenizer->vocabulary_size());
  auto weights = initial_weights(layout, 1);
  double first = 0, last = 0;
  ASSERT_TRUE(bag_start(layout, *stream, 4000, {1, 1, 1}, weights,
                        [&](std::size_t row, std::size_t, double loss) {
                          if (row <= 100) first = loss;
                          last = loss;
                        })
                  .ok());
  EXPECT_LT(last, first / 2);
  const Piece& piece = layout.find("embedding");
  double squares = 0;
  for (std::size_t i = 0; i < piece.size(); ++i)
    squares += std::pow(static_cast<double>(weights[piece.offset + i]), 2);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(piece.size())), piece.initial, 1e-4);
}

TEST(Augment, LowersAndStripsButKeepsSomething) {
  const auto low = lowered({{Role::kUser, "What IS Это Äpfel?! "}, {Role::kAssistant, "..."}});
  EXPECT_EQ(low[0].content, "what is это äpfel");
  EXPECT_EQ(low[1].content, "...");
}

}  // namespace
}  // namespace qwen3guard::training
