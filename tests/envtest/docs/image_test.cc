// The recipe of the image in docs/install.md: what the binary is linked against, and the name that
// the Deployment asks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/envtest/docs/fences.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

std::string ReadSource(const std::string& path) {
  std::ifstream in(std::string(CERTFLOW_SOURCE_DIR) + "/" + path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

// Words that a command prints.
std::set<std::string> WordsOf(const std::string& command) {
  std::set<std::string> words;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return words;
  char word[256];
  while (std::fscanf(pipe, "%255s", word) == 1) words.insert(word);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return words;
}

std::string Recipe() {
  for (const Fence& fence : FencesOf("docs/install.md", ReadSource("docs/install.md"))) {
    if (fence.language == "dockerfile") return fence.text;
  }
  return "";
}

// The packages of the recipe's one "apt-get install".
std::set<std::string> PackagesOf(const std::string& recipe) {
  std::istringstream words(recipe.substr(recipe.find("apt-get install")));
  std::set<std::string> packages;
  for (std::string word; words >> word && word != "&&";) {
    if (word != "apt-get" && word != "install" && word != "\\" && word[0] != '-') {
      packages.insert(word);
    }
  }
  return packages;
}

TEST(ImageTest, TheRecipeHasThePackagesOfTheLibrariesThatTheProgramNeeds) {
  const std::string program = std::string(CERTFLOW_BIN_DIR) + "/certflow";
  std::set<std::string> needed =
      WordsOf("for name in $(objdump -p '" + program + "' | awk '/NEEDED/ {print $2}'); do" +
              " path=$(ldd '" + program + "' | awk -v n=\"$name\" '$1 == n {print $3}');" +
              " dpkg -S \"*/x86_64-linux-gnu/$(basename \"$(readlink -f \"$path\")\")\" |"
              " cut -d: -f1; done");
  // Of Debian's smallest image; and the sanitizers' builds are nobody's image.
  for (const char* there : {"libc6", "libgcc-s1", "libasan8", "libubsan1", "libtsan2"}) {
    needed.erase(there);
  }
  std::set<std::string> given = PackagesOf(Recipe());
  EXPECT_EQ(given.erase("ca-certificates"), 1u);
  EXPECT_EQ(given.erase("tzdata"), 1u) << "libdate-tz reads it, and is not linked against it";
  EXPECT_EQ(given, needed);
}

TEST(ImageTest, TheDeploymentAsksForTheImageThatTheDocumentMakes) {
  const std::string deployment = ReadSource("manifests/install/30-controller.yaml");
  const std::size_t at = deployment.find("image: ");
  ASSERT_NE(at, std::string::npos);
  const std::string image = deployment.substr(at + 7, deployment.find('\n', at) - at - 7);
  EXPECT_THAT(ReadSource("docs/install.md"), HasSubstr("docker build -t " + image + " ."));
  EXPECT_THAT(ReadSource("docs/install.md"), HasSubstr("names `" + image + "`"));
  // The program says the version that the tag has.
  const auto said = WordsOf("'" + std::string(CERTFLOW_BIN_DIR) + "/certflow' --version");
  EXPECT_TRUE(said.contains(image.substr(image.find(':') + 1))) << image;
  // The pod runs it as a user that the recipe has, and gives it no command of its own.
  EXPECT_THAT(Recipe(), HasSubstr("USER 65532"));
  EXPECT_EQ(deployment.find("command:"), std::string::npos);
}

}  // namespace
}  // namespace certflow::envtest
