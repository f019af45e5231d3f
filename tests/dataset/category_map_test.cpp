#include "dataset/category_map.h"

#include "support.h"

namespace qwen3guard::dataset {
namespace {

LabelledConversation labelled(std::vector<std::string> categories,
                              Target target = Target::kPrompt) {
  LabelledConversation row;
  row.source = "s";
  row.categories = std::move(categories);
  row.target = target;
  return row;
}

TEST(CategoryMap, TheShippedTableUsesOnlyOurNames) {
  const auto map =
      CategoryMap::read(std::filesystem::path(QG_SOURCE_DIR) / "src/dataset/categories.json");
  ASSERT_TRUE(map.ok()) << map.error().message;
  EXPECT_TRUE(map->knows("aegis_train_sample", "Violence"));
  EXPECT_FALSE(map->knows("aegis_train_sample", "no such name"));
}

TEST(CategoryMap, LastMappedNameWinsAndJailbreakWinsForPrompts) {
  const auto file = test_folder() / "map.json";
  write_text(file,
             R"({"s": {"war": "Violent", "drugs": "Non-violent Illegal Acts", "dan": "Jailbreak",
                             "other": null}, "t": {"*": "Unethical Acts"}})");
  const auto map = CategoryMap::read(file);
  ASSERT_TRUE(map.ok()) << map.error().message;
  EXPECT_EQ(map->category(labelled({"war", "drugs"})), Category::kIllegalActs);
  EXPECT_EQ(map->category(labelled({"war", "other", "unheard of"})), Category::kViolent);
  EXPECT_EQ(map->category(labelled({"dan", "war"})), Category::kJailbreak);
  EXPECT_EQ(map->category(labelled({"dan", "war"}, Target::kResponse)), Category::kViolent);
  EXPECT_EQ(map->category(labelled({"dan"}, Target::kResponse)), std::nullopt);
  EXPECT_EQ(map->category(labelled({})), std::nullopt);
  auto other = labelled({"x"});
  other.source = "t";
  EXPECT_EQ(map->category(other), Category::kUnethical);
}

TEST(CategoryMap, RefusesUnknownNames) {
  const auto file = test_folder() / "map.json";
  for (const char* text :
       {R"({"s": {"war": "Violence"}})", R"({"s": {"war": 3}})", R"({"s": []})", "[]"}) {
    write_text(file, text);
    EXPECT_FALSE(CategoryMap::read(file).ok()) << text;
  }
}

}  // namespace
}  // namespace qwen3guard::dataset
