// Tokenizer files: any bytes give a tokenizer that agrees with its own definition, or an error.
// The input is a tokenizer.json, or three files (vocab.json, merges.txt, tokenizer_config.json)
// with a zero byte between them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokens/bpe_tokenizer.h"
#include "tokens/tokenizer_file.h"

namespace {

using namespace qwen3guard::tokens;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(TokenizerSpec spec) {
  const std::vector<AddedToken> added = spec.added;
  const auto tokenizer = BpeTokenizer::create(std::move(spec));
  if (!tokenizer.ok()) {
    require(!tokenizer.error().message.empty());
    return;
  }
  std::string text = "It's a  test, \n\n123 \xe4\xbd\xa0\xe5\xa5\xbd e\xcc\x81 aaaabbbbabab\t";
  for (const AddedToken& token : added) text += token.content;
  for (const bool parse_added : {false, true}) {
    const auto encoding = (*tokenizer)->encode(text, parse_added);
    require(encoding.ok() && encoding->ids.size() == encoding->offsets.size());
    for (const TokenId id : encoding->ids) {
      require(id >= 0 && static_cast<std::size_t>(id) < (*tokenizer)->vocabulary_size());
    }
    require((*tokenizer)->decode(encoding->ids).ok());
  }
  const Bpe& bpe = (*tokenizer)->bpe();
  std::vector<TokenId> fast, definition;
  bpe.encode_piece(text, fast);
  bpe.merge_piece(text, definition);
  require(fast == definition);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t first = text.find('\0');
  if (first == std::string_view::npos) {
    auto spec = parse_tokenizer_json(text);
    if (spec.ok()) check(std::move(spec).value());
    return 0;
  }
  const std::size_t second = std::min(text.find('\0', first + 1), text.size());
  auto spec =
      parse_vocabulary_files(text.substr(0, first), text.substr(first + 1, second - first - 1),
                             text.substr(std::min(second + 1, text.size())));
  if (spec.ok()) check(std::move(spec).value());
  return 0;
}
