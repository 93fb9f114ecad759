#include "providers/http/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace certflow::providers::http {
namespace {

Values Some() {
  Values values;
  values.fields = {{"id", "c/7 ä?&#"},
                   {"quote", "\"},{\"x\":\"<&'"},
                   {"pem", "-----B\nQUJD+/=\n"},
                   {"empty", ""},
                   {"up", ".."},
                   {"lines", "a\nHost: evil"},
                   {"bell", "a\ab"},
                   {"plain", "st-0b6c4befb1"}};
  return values;
}

std::string Render(std::string_view text, Place place, const Values& values = Some()) {
  auto parsed = Template::Parse(text, place);
  if (!parsed.ok()) return "parse: " + parsed.error().message;
  auto rendered = parsed->Render(values);
  if (!rendered.ok()) return "render: " + rendered.error().message;
  return std::string(rendered->Reveal());
}

struct Row {
  const char* name;
  const char* text;
  Place place;
  const char* wanted;
};

class TemplateTest : public testing::TestWithParam<Row> {};

TEST_P(TemplateTest, AValueBecomesWhatItsPlaceAsksFor) {
  EXPECT_EQ(Render(GetParam().text, GetParam().place), GetParam().wanted);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, TemplateTest,
    testing::Values(
        Row{"Path", "/c/{{ .id }}/key", Place::kUrl, "/c/c%2F7%20%C3%A4%3F%26%23/key"},
        Row{"Query", "/c?name={{.id}}&page={{ .empty }}", Place::kUrl,
            "/c?name=c%2F7%20%C3%A4%3F%26%23&page="},
        Row{"Json", R"({"a": "{{ .quote }}"})", Place::kJson, R"({"a": "\"},{\"x\":\"<&'"})"},
        Row{"JsonPem", R"({"a": "{{ .pem }}"})", Place::kJson, "{\"a\": \"-----B\\nQUJD+/=\\n\"}"},
        Row{"Base64", R"({"a": "{{ .quote | base64 }}"})", Place::kJson,
            R"({"a": "In0seyJ4IjoiPCYn"})"},
        Row{"Form", "A=1&Id={{ .quote }}", Place::kForm,
            "A=1&Id=%22%7D%2C%7B%22x%22%3A%22%3C%26%27"},
        Row{"Xml", "<a b=\"{{ .quote }}\"/>", Place::kXml,
            "<a b=\"&quot;},{&quot;x&quot;:&quot;&lt;&amp;&apos;\"/>"},
        Row{"Header", "certflow {{ .plain }}", Place::kHeader, "certflow st-0b6c4befb1"},
        Row{"Plain", "x {{ .pem }} y", Place::kPlain, "x -----B\nQUJD+/=\n y"},
        Row{"NoField", "no braces } here {", Place::kPlain, "no braces } here {"}),
    [](const auto& row) { return row.param.name; });

class RefusedTemplateTest : public testing::TestWithParam<Row> {};

TEST_P(RefusedTemplateTest, IsRefusedWithAReason) {
  const std::string got = Render(GetParam().text, GetParam().place);
  EXPECT_NE(got.find(GetParam().wanted), std::string::npos) << got;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RefusedTemplateTest,
    testing::Values(
        Row{"Open", "a {{ .id", Place::kPlain, "parse: a \"{{\" is not closed"},
        Row{"Filter", "{{ .id | upper }}", Place::kPlain, "no filter but base64"},
        Row{"NoDot", "{{ id }}", Place::kPlain, "is not a field"},
        Row{"Nothing", "{{ }}", Place::kPlain, "is not a field"},
        Row{"Nested", "{{ .a{{ .b }} }}", Place::kPlain, "is not a field"},
        Row{"KeyInUrl", "/{{ .certificate.key }}", Place::kUrl, "into a body only"},
        Row{"KeyInHeader", "{{ .certificate.key | base64 }}", Place::kHeader, "into a body only"},
        Row{"BareInJson", R"({"a": {{ .id }}})", Place::kJson, "inside its strings"},
        Row{"HalfInJson", R"({"a": "{{ .id", "b": " }}"})", Place::kJson, "is not a field"},
        Row{"CdataInXml", "<a><![CDATA[{{ .id }}]]></a>", Place::kXml, "CDATA"},
        Row{"Unknown", "{{ .nothing }}", Place::kPlain, "render: there is no field"},
        Row{"UnknownParameter", "{{ .parameters.vip }}", Place::kPlain, "http.parameters"},
        Row{"NoKeyHere", "{{ .certificate.key }}", Place::kPlain, "while staging only"},
        Row{"EmptyInPath", "/c/{{ .empty }}", Place::kUrl, "is empty"},
        Row{"Climbs", "/c/{{ .up }}/d", Place::kUrl, "may not hold . or .."},
        Row{"LineInHeader", "a\nHost: {{ .plain }}", Place::kHeader, "parse: a URL or header may"},
        Row{"SpaceInUrl", "/a b/{{ .plain }}", Place::kUrl, "parse: a URL or header may"},
        Row{"UmlautInUrl", "/ä", Place::kUrl, "parse: a URL or header may"},
        Row{"HeaderLines", "{{ .lines }}", Place::kHeader, "cannot stand in a header"},
        Row{"HeaderUmlaut", "{{ .id }}", Place::kHeader, "cannot stand in a header"},
        Row{"PlainQuote", "{{ .quote }}", Place::kPlain, "cannot stand in plain text"},
        Row{"Control", R"({"a": "{{ .bell }}"})", Place::kJson, "control characters"}),
    [](const auto& row) { return row.param.name; });

TEST(TemplateTest, TheKeyIsRenderedIntoABody) {
  Values values;
  const SecretBytes key("-----BEGIN KEY-----\nabc\n");
  values.key = &key;
  EXPECT_EQ(Render("{\"k\": \"{{ .certificate.key }}\"}", Place::kJson, values),
            "{\"k\": \"-----BEGIN KEY-----\\nabc\\n\"}");
}

// Whatever a value is, a JSON text stays one, with the value in its string and nowhere else.
TEST(TemplateTest, NoValueLeavesItsString) {
  const auto parsed = Template::Parse(R"({"a": "x{{ .v }}y", "b": 1})", Place::kJson);
  ASSERT_TRUE(parsed.ok());
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string value;
    for (unsigned i = 0; i < random() % 20; ++i) value += static_cast<char>(0x20 + random() % 0x5F);
    Values values;
    values.fields["v"] = value;
    const auto rendered = parsed->Render(values);
    ASSERT_TRUE(rendered.ok());
    const auto json = nlohmann::json::parse(rendered->Reveal(), nullptr, false);
    ASSERT_TRUE(json.is_object()) << value;
    EXPECT_EQ(json.size(), 2u);
    EXPECT_EQ(json["a"], "x" + value + "y");
  }
}

TEST(TemplateTest, LongOnesAreRefused) {
  EXPECT_TRUE(Template::Parse(std::string(kMaxTemplateBytes, 'x'), Place::kPlain).ok());
  EXPECT_FALSE(Template::Parse(std::string(kMaxTemplateBytes + 1, 'x'), Place::kPlain).ok());
}

}  // namespace
}  // namespace certflow::providers::http
