"""Hand-written texts on which tokenizers tend to go wrong. Used by export_tokenizer_goldens.py."""

CONTRACTIONS = [
    "I'm", "you're we've they'll he'd it's don't", "I'M YOU'RE WE'VE THEY'LL HE'D IT'S DON'T", "'s", "'S", "'t", "'re",
    "'Re", "'rE", "'ve", "'m", "'ll", "'lL", "'d", "''s", "'''", "' s", "'sat", "'table", "'red", "'very", "'much",
    "'llama", "'dog", "'r", "'v", "'l", "'", "a'", "a'b", "x's's's", "dogs' tails", "rock 'n' roll", "l'été", "d'Artagnan",
    "it’s don’t", "\u2018s", "\u2019s", "'\u017f", "it'\u017f", "'\u017fo", "\u017f's", "'\u212a", "'\u0131", "'\u0455",
    "1's", "!'s", " 's", "\n's", "'s\n", "\t'll be", "中's", "'\u0301s", "'s\u0301", "O'Neill's", "y'all'd've",
]

DIGITS = [
    "0", "12", "123", "1234567890", " 1", "  1", "1 2 3", "1,234.56", "3.14e-10", "0x1F", "1st 2nd 3rd", "a1b2c3", "1a",
    "١٢٣", "१२३", "１２３", "²³", "½ cup", "Ⅷ", "①②③", "一二三", "𝟏𝟐", "+1 (555) 010-9999", "2024-01-31T23:59:59Z", "$5.00",
    "5%", "-40°C", "1\n2\n3", "1\u00a02", "𒐀", "〇", "1\u03012",
]

WHITE_SPACE = [
    "", " ", "  ", "   ", "    ", " " * 16, " " * 17, " " * 100, "a" + " " * 50 + "b", "a ", "a  ", "a   b", " a", "  a", "\t", "\t\t",
    "\ta", "\t\ta", " \ta", "\t a", "a\tb", "a\t\tb", "\n", "\n\n", "\n\n\n", "\n\n\n\n\n", "\r", "\r\n", "\r\n\r\n", "\n\r",
    "\r\r\n", "a\n", "a\n\n", "a\nb", "a\n\nb", "a\r\nb", "a\r\n\r\nb\r\n", "a \n", "a \n b", "a\n b", "a\n  b", "a\n   \nb",
    "a  \n  \n  b", " \n ", "  \n", "\n  ", "\n \n \n", "a\u00a0b", "\u00a0", "\u00a0\u00a0a", "a\u3000b", "\u3000\u3000段落", "\u2003em",
    "a\u2028b\u2029c", "\u0085", "a\u0085b", "\x0b\x0c", "a\x0bb", "\u1680", "\u200b", "a\u200bb", "\u180e", "\ufeffa", "a\ufeff",
    "\u202f", "a \u00a0 b", " \n\u00a0\n ", "end.  ", "end. \n", "end.\n ", "?\n\n", "bomb?\n\n", "? \n\n", "...\r\n\r\nx", "!\n\t\n!",
    "\x1c\x1d\x1e\x1f", "\x00", "a\x00b", "\x7f", "\u2060",
]

PUNCTUATION = [
    ".", "..", "...", "....", "?!", "!!!!!!!!!!", " !", "  !", "a.b", "a. b", "a . b", "(a)", " (a) ", "[a][b]", "{a: 'b'}", "a_b_c", "__init__",
    "_a", " _a", "-a", "--flag=value", "a-b", "a–b—c", "/usr/local/bin", "C:\\Windows\\", "https://example.org/?q=1&r=%20#top",
    "user@example.org", "@user #tag", "$x^2$", "\\frac{a}{b}", "<b>bold</b>", "<!-- c -->", "**bold** _it_ `code`", "# Title\n## Sub",
    "- a\n- b\n  - c", "1. a\n2. b", "| a | b |\n|---|---|", "```cpp\nint main() {\n\treturn 0;\n}\n```", "\"q\"", "“q”", "«q»", "「引用」",
    "（括号）", "，。！？", "a，b", "、、", "…", "·", "~", "^", "€", "£5", "™", "©2024", "§1", "¿Qué?", "¡Sí!", "\u061f", "\u3002\n",
    "=====", "-----\n", "*****", "a*b*c", "a==b!=c", "i++;", "x->y", "::", "a::b", "#include <vector>\r\n", " %d\n", "\u20dd",
]

UNICODE = [
    "café", "cafe\u0301", "Cafe\u0301s", "e\u0301", "\u0301", " \u0301", "\u0301a", "a\u0323\u0302", "a\u0302\u0323", "\u1ea5\u0323", "\u1ead",
    "Å", "A\u030a", "\u212b", "\u2126", "\u212a", "\u0344", "\u0958", "\u0915\u093c", "\u0f73", "\u0f71\u0f72", "\ufb01", "\ufb2c",
    "\ufb49\u05c1", "\u2adc", "\u1d15e", "\U0001d15e", "\U0001d15e\u0301", "\u0374", "\u037e", "\u0387", "\u1fef", "\u2000\u2001", "\u2329x\u232a",
    "\u3067\u3099", "が", "か\u3099", "ハ\u309a", "ﾊﾟ", "한국어", "\u1112\u1161\u11ab", "\u1100\u1161", "\uac00\u11a8", "\uac01\u11a8", "\u1100\u1161\u11a7",
    "\u1161\u11a8", "\u1100\u1100\u1161", "ㄱㅏ", "\ud7b0", "\ua960\u1161", "x\u0315\u0300y", "x\u0300\u0315y", "q\u0307\u0323", "q\u0323\u0307", "o\u0308\u0304",
    "ö\u0304", "\u022b", "a\u0300\u0301\u0302\u0303\u0304", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘", "ﷺ", "٪",
    "ſ", "ß ẞ", "İi ıI", "ǅ ǆ Ǆ", "ŉ", "ª º", "µ", "𝒜𝓁𝓅𝒽𝒶", "𐐀𐐨", "ꓐꓑ", "\ue000", "\uf8ff", "\U000f0000", "\U0010ffff", "\ufffd", "\ufffe", "\uffff",
    "\u0378", "\u0380", "\U0001fad0", "\U0002ebf0", "\U000323b0", "\U00031350", "\u1c89", "\ua7cb", "\U00010d4a", "\U00016d40", "\U00011380",
    "\u0897", "\U000e0001", "\u202eabc\u202c", "\u2066x\u2069", "a\u00adb", "\u034f", "\u115f\u1160", "\u3164", "\ufff9\ufffb",
]

EMOJI = [
    "😀", "😀😀", " 😀", "a😀b", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "❤️", "❤", "☺️", "🇩🇪🇫🇷", "1️⃣", "#️⃣", "👩🏾‍🚀", "🤷‍♂️", "🫠", "🪿🫨", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "(╯°□°)╯︵ ┻━┻", "¯\\_(ツ)_/¯",
    "lol 😂😂😂!!!", "🔥\n🔥\r\n", "\u200d", "\ufe0f", "a\u200db", "क्\u200dष", "क्\u200cष", "می\u200cخواهم",
]

LANGUAGES = [
    "Das Wetter ist schön heute, nicht wahr?", "Il fait très beau aujourd’hui.", "¿Cómo estás, señor Núñez?", "Dzień dobry, jak się masz?",
    "Доброе утро! Как дела?", "Ще не вмерла Україна", "Καλημέρα, τι κάνεις;", "Günaydın, nasılsın? İyi misin?", "שלום עולם", "שָׁלוֹם",
    "مرحبا بالعالم", "اَلسَّلَامُ عَلَيْكُمْ", "سلام دنیا، می‌روم", "نمستے دنیا", "नमस्ते दुनिया", "হ্যালো বিশ্ব", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ", "નમસ્તે", "வணக்கம் உலகம்", "నమస్కారం", "ನಮಸ್ಕಾರ",
    "നമസ്കാരം", "ආයුබෝවන්", "สวัสดีชาวโลก", "ສະບາຍດີ", "མིང་ལ་བཀྲ་ཤིས།", "မင်္ဂလာပါ", "გამარჯობა", "Բարեւ աշխարհ", "ሰላም ልዑል", "សួស្តី​ពិភពលោក", "Сайн байна уу",
    "ᠮᠣᠩᠭᠣᠯ", "你好，世界！今天天气怎么样？", "繁體中文測試", "こんにちは世界。元気ですか？", "안녕하세요 세계", "Xin chào thế giới", "Xin cha\u0300o the\u0302\u0301 gio\u031b\u0301i", "Halo dunia, apa kabar?", "Sugeng enjing",
    "Habari ya dunia", "Ọ̀rọ̀ Yorùbá", "ʻŌlelo Hawaiʻi", "ᏣᎳᎩ", "ᐃᓄᒃᑎᑐᑦ", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "ꦧꦱꦗꦮ", "Où est la bibliothèque ? Elle ferme à dix-huit heures.", "J'aimerais réserver une table pour deux, s'il vous plaît.",
    "Qu'est-ce que c'est ? Un œuf à la coque, peut-être…", "L'hiver dernier, nous avons skié près de Chamonix.", "N'oubliez pas : « qui vivra verra » !",
    "Você pode me ajudar com a tradução desta canção?", "Amanhã não haverá aulas; é feriado nacional.", "O avô da Conceição pôs o chapéu no sofá.",
    "Às vezes, a solução é mais simples do que parece.", "Quanto custa um quilo de maçãs?", "Waar kan ik een fiets huren in Utrecht?",
    "Zo'n mooie dag hebben we 's zomers zelden.", "De coöperatie vergadert 's avonds om half acht.", "Ik heb m'n sleutels thuis laten liggen.",
    "Hoe lang duurt de reis naar 's-Hertogenbosch?", "Zażółć gęślą jaźń", "Gdzie jest najbliższa apteka?", "Chciałbym zamówić kawę i pączka.",
    "Wczoraj padał śnieg, dziś świeci słońce.", "W Szczebrzeszynie chrząszcz brzmi w trzcinie.", "Jak się pisze „źdźbło”?",
    "Příliš žluťoučký kůň úpěl ďábelské ódy", "Árvíztűrő tükörfúrógép", "Flygande bäckasiner söka hwila på mjuka tuvor",
    "Høj bly gom vandt fræk sexquiz på wc", "Þetta er íslenska, elskan mín", "Hyvää huomenta, kiitos ja näkemiin!", "Bugün hava İstanbul'da çok güzel.",
    "Тешко је рећи истину", "Здравей, как си?", "Қазақстан Республикасы", "Oʻzbekiston Respublikasi", "Azərbaycan dili", "Kurdî û Zazakî", "ئۇيغۇرچە", "پښتو ژبه", "اردو زبان",
    "मराठी भाषा", "नेपाली भाषा", "অসমীয়া ভাষা", "ଓଡ଼ିଆ ଭାଷା", "සිංහල භාෂාව", "ქართული ენა", "Հայերեն լեզու", "ትግርኛ", "Afrikaans is 'n taal", "isiZulu siyakhulunywa",
    "Tiếng Việt có sáu thanh điệu.", "Ang Filipino ay wika ng bansa.", "Te reo Māori", "Gàidhlig na h-Alba", "Cymraeg a'r Gymru", "Gaeilge ó dhúchas", "Euskara Euskal Herrian", "Català i valencià: l·l",
    "mixed 中文 and English混合text", "Добрый day 你好 مرحبا",
]

# Strings that the tokenizer's added tokens match, whole, cut, repeated and glued to their neighbours.
ADDED = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start|>user\nhi<|im_end|>\n", "a<|im_end|>b", "a <|im_end|> b",
    "<|im_end|><|im_end|>", "<|im_end|>\n<|im_start|>assistant\n", "<think>", "</think>", "<think>\n\n</think>\n\n", "<think>\nwhy\n</think>\n\nok",
    "x</think>y", "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "<tool_response>\n1\n</tool_response>", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "<|vision_start|><|image_pad|><|vision_end|>", "<|im_start|", "|im_start|>", "<| im_start |>", "<|IM_START|>", "<|im_start|><|im_start", "<<|im_end|>>",
    "<|im_end|>e\u0301", "e<|im_end|>\u0301", "e\u0301<|im_end|>e\u0301", "it<|im_end|>'s", "1<|im_end|>\n\n2", "  <|im_end|>  ", "\n<think>\n",
    "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2)<|box_end|>", "<|repo_name|>r<|file_sep|>f", "<think", "</think >", "<thinking>", "<|endoftext|>\n",
    "<|im_start|>system\nYou are <|im_end|> here<|im_end|>\n<|im_start|>user\n",
]

ALL = CONTRACTIONS + DIGITS + WHITE_SPACE + PUNCTUATION + UNICODE + EMOJI + LANGUAGES + ADDED
