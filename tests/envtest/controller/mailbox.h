#pragma once

#include <string>
#include <vector>

#include "tests/peers/peer.h"

namespace certflow::envtest {

// NotificationChannel "mail" for the peer; its password is key "password" of the Secret "login".
std::string MailChannel(const test::Peer& mail);
// Everything that arrived, headers and quoted-printable text decoded as far as the tests need.
std::vector<std::string> Mails(const test::Peer& mail);
// The first mail that has `text` in it; the test fails when none comes.
std::string AwaitMail(const test::Peer& mail, const std::string& text, int seconds = 30);
// The line with `text` in it, without the white space around it; empty where there is none.
std::string LineWith(const std::string& mail, const std::string& text);

}  // namespace certflow::envtest
