// Tokenizer files: any bytes give a tokenizer that agrees with its own definition, or an error.
// The input is a GGUF file, a tokenizer.json, or three files (vocab.json, merges.txt,
// tokenizer_config.json) with a zero byte between them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bytes/gguf.h"
#include "bytes/utf8.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/tokenizer_file.h"
#include "tokens/tokenizer_gguf.h"

namespace {

using namespace qwen3guard;
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

/// Any GGUF file: its tokenizer, or an error that can be shown.
void check_gguf(std::string_view file_bytes) {
  const auto file = bytes::GgufFile::parse(std::as_bytes(std::span(file_bytes)));
  if (!file.ok()) return;
  auto spec = parse_gguf_tokenizer(*file);
  if (spec.ok()) return check(std::move(spec).value());
  require(!spec.error().message.empty());
  require(!bytes::find_invalid_utf8(spec.error().message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("GGUF")) {
    check_gguf(text);
    return 0;
  }
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
