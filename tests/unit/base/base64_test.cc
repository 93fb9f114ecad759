#include "controller/base/base64.h"

#include <gtest/gtest.h>

namespace certflow {
namespace {

// RFC 4648 section 10.
TEST(Base64Test, KnownVectorsBothWays) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(Base64Encode(plain), text);
    EXPECT_EQ(Base64Decode(text)->Reveal(), plain);
  }
  EXPECT_EQ(Base64UrlEncode("\xfb\xff"), "-_8");
  EXPECT_EQ(Base64UrlDecode("-_8")->Reveal(), "\xfb\xff");
}

TEST(Base64Test, SkipsWhiteSpaceAsInPemAndYaml) {
  EXPECT_EQ(Base64Decode(" Zm9v\r\n\tYmFy\n")->Reveal(), "foobar");
}

TEST(Base64Test, RefusesWhatIsNotCanonical) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9vY", "Zm9=v", "Zm9*", "-_8=", "=", "===="}) {
    EXPECT_FALSE(Base64Decode(text).ok()) << text;
  }
  for (const char* text : {"Zg==", "+/8", "Z", "Zh"}) {
    EXPECT_FALSE(Base64UrlDecode(text).ok()) << text;
  }
}

TEST(DigestTest, Sha256OfAbc) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 4231 test case 2.
TEST(DigestTest, HmacKnownVectors) {
  EXPECT_EQ(HexEncode(*Hmac("SHA256", "Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(*Hmac("SHA1", "", "")), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  EXPECT_EQ(Hmac("SHA512", "k", "d")->size(), 64u);
  EXPECT_EQ(Hmac("MD5", "k", "d").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace certflow
