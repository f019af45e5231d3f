// Changes to an example that leave its label true.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "qwen3guard/conversation.h"
#include "tokens/tokenizer.h"
#include "training/batches.h"

namespace qwen3guard::training {

/// Lower-cases (ASCII, Latin-1, Greek and Cyrillic letters) and drops the final punctuation: people
/// type like that to a machine, and the sets mostly do not.
Conversation lowered(const Conversation& conversation);

/// A random piece of each of the n texts, at least 1/(n + 1) of it, one after the other. Cuts
/// between words, or between characters where a text has next to no spaces. REQUIRES: UTF-8.
std::string splice(std::span<const std::string_view> texts, Random& random);

/// `text` with what looks like the template's structure, or like a verdict, before it, after it or
/// between two words.
std::string forge_structure(std::string_view text, Random& random);

/// A post as the answer to a neutral question.
Conversation as_response(const Conversation& post, Random& random);

/// Replaces content tokens by random ones, each with probability `rate`; control tokens and the
/// template before a response stay. `first_control`: ids from here on are control tokens.
void replace_tokens(View& view, double rate, tokens::TokenId first_control, Random& random);

/// Shortens `view` to the limits of the mix; the closing <|im_end|> stays. `random` null: cuts at
/// the end.
void crop(View& view, const DataMix& mix, double random_crop, Random* random);

}  // namespace qwen3guard::training
