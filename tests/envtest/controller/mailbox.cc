#include "tests/envtest/controller/mailbox.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "controller/base/base64.h"
#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

// RFC 2045, section 6.7.
std::string DecodeQuotedPrintable(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=' || i + 2 >= text.size()) {
      if (text[i] != '\r') out += text[i];
      continue;
    }
    if (text[i + 1] == '\n') {
      i += 1;
    } else if (text[i + 1] == '\r') {
      i += 2;
    } else {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    }
  }
  return out;
}

std::string Decode(const std::string& raw) {
  const std::size_t body = raw.find("\n\n");
  const std::string head = raw.substr(0, body);
  if (body == std::string::npos) return raw;
  const std::string rest = raw.substr(body + 2);
  if (head.find("quoted-printable") != std::string::npos) {
    return head + "\n\n" + DecodeQuotedPrintable(rest);
  }
  if (head.find("base64") != std::string::npos) {
    auto decoded = Base64Decode(rest);
    return head + "\n\n" + (decoded.ok() ? std::string(decoded->Reveal()) : rest);
  }
  return raw;
}

std::string Indented(const std::string& text, const std::string& by) {
  std::string out = by;
  for (char c : text) {
    out += c;
    if (c == '\n') out += by;
  }
  return out;
}

}  // namespace

std::string MailChannel(const test::Peer& mail) {
  const std::string& at = mail["smtp"];
  return Fill(R"(
apiVersion: certflow.dev/v1alpha1
kind: NotificationChannel
metadata: {name: mail}
spec:
  smtp:
    host: localhost
    port: {port}
    from: certflow@example.com
    username: {user}
    passwordSecretRef: {name: login, key: password}
    caBundle: |
)",
              {{"port", at.substr(at.rfind(':') + 1)}, {"user", mail["user"]}}) +
         Indented(test::ReadFile(mail["ca"]), "      ") + "\n";
}

std::vector<std::string> Mails(const test::Peer& mail) {
  std::vector<std::string> out;
  for (const auto& file : std::filesystem::directory_iterator(mail["box"] + "/new")) {
    out.push_back(Decode(test::ReadFile(file.path())));
  }
  return out;
}

std::string AwaitMail(const test::Peer& mail, const std::string& text, int seconds) {
  std::string found;
  bool came = Await(
      [&] {
        for (const std::string& one : Mails(mail)) {
          if (one.find(text) != std::string::npos) found = one;
        }
        return !found.empty();
      },
      seconds);
  EXPECT_TRUE(came) << "no mail has \"" << text << "\" in it";
  return found;
}

std::string LineWith(const std::string& mail, const std::string& text) {
  const std::size_t at = mail.find(text);
  if (at == std::string::npos) return "";
  std::size_t begin = mail.rfind('\n', at);
  begin = mail.find_first_not_of(" \t", begin == std::string::npos ? 0 : begin + 1);
  std::string line = mail.substr(begin, mail.find('\n', at) - begin);
  return line.substr(0, line.find_last_not_of(" \r\t") + 1);
}

}  // namespace certflow::envtest
