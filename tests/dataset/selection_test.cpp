#include "dataset/selection.h"

#include "dataset/sha256.h"
#include "support.h"

namespace qwen3guard::dataset {
namespace {

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, ModuloOfTheWholeNumber) {
  Sha256Digest digest{};
  digest[31] = 26;
  EXPECT_EQ(modulo(digest, 25), 1U);
  digest[30] = 1;  // 256 + 26
  EXPECT_EQ(modulo(digest, 25), 282U % 25);
  digest[0] = 1;  // + 2^248
  std::uint32_t power = 1;
  for (int i = 0; i < 248; ++i) power = power * 2 % 25;
  EXPECT_EQ(modulo(digest, 25), (282 + power) % 25);
}

TEST(Selection, KeepsPermittedSets) {
  const std::vector<DatasetEntry> index = {{"a", 1, "MIT", "permissive", ""},
                                           {"b", 1, "CC-BY-NC", "non-commercial", ""},
                                           {"c", 1, "CC-BY-SA", "share-alike", ""},
                                           {"d", 1, "?", "unstated", ""}};
  const auto all = select_sets(index, {});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[1].name, "c");
  EXPECT_EQ(select_sets(index, {{"permissive", "share-alike"}, {"a"}}).size(), 1U);
  EXPECT_EQ(select_sets(index, {{"non-commercial"}, {}}).front().name, "b");
}

TEST(Selection, HeldOutDependsOnTheIdAlone) {
  std::size_t held = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string id = "row-" + std::to_string(i);
    EXPECT_EQ(is_held_out(id, 25), is_held_out(id, 25));
    EXPECT_FALSE(is_held_out(id, 0));
    held += is_held_out(id, 25) ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(held), 400.0, 80.0);
}

TEST(Selection, SmallestHashes) {
  const auto chosen = smallest_by_hash({"a", "b", "c", "d"}, 2);
  std::vector<std::pair<std::string, std::string>> order;
  for (const char* id : {"a", "b", "c", "d"}) order.emplace_back(to_hex(sha256(id)), id);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(chosen, (std::set<std::string>{order[0].second, order[1].second}));

  std::vector<LabelledConversation> rows(4);
  for (std::size_t i = 0; i < 4; ++i) rows[i].id = std::string(1, static_cast<char>('a' + i));
  keep_smallest_by_hash(rows, 4);
  EXPECT_EQ(rows.size(), 4U);
  keep_smallest_by_hash(rows, 2);
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& row : rows) EXPECT_TRUE(chosen.contains(row.id));
  EXPECT_LT(rows[0].id, rows[1].id);
  EXPECT_EQ(smallest_by_hash({"a"}, 5).size(), 1U);
}

}  // namespace
}  // namespace qwen3guard::dataset
