#include "providers/notifiers/smtp/smtp_notifier.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "controller/kube/document_json.h"
#include "providers/notifiers/smtp/message.h"

namespace certflow::providers::smtp {
namespace {

using nlohmann::json;

Error Invalid(std::string_view field, std::string_view fault) {
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) + ": " + std::string(fault));
}

Result<std::string> Text(const json& from, const char* field) {
  const auto found = from.find(field);
  if (found == from.end() || found->is_null()) return std::string();
  if (!found->is_string()) return Invalid(field, "must be a string");
  return found->get<std::string>();
}

Result<net::MailTls> ReadSecurity(const json& from) {
  CF_ASSIGN_OR_RETURN(const std::string text, Text(from, "tls"));
  if (text.empty() || text == "StartTLS") return net::MailTls::kStartTls;
  if (text == "Implicit") return net::MailTls::kImplicit;
  if (text == "None") return net::MailTls::kNone;
  return Invalid("tls", "must be StartTLS, Implicit or None");
}

Result<std::uint16_t> ReadPort(const json& from, net::MailTls security) {
  const auto found = from.find("port");
  if (found == from.end() || found->is_null()) {
    if (security == net::MailTls::kImplicit) return std::uint16_t{465};
    return security == net::MailTls::kNone ? std::uint16_t{25} : std::uint16_t{587};
  }
  if (!found->is_number_integer()) return Invalid("port", "must be a number");
  const auto port = found->get<std::int64_t>();
  if (port < 1 || port > 65535) return Invalid("port", "must be from 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

Result<net::MailServer> ReadServer(const json& from, SecretBytes password) {
  net::MailServer server;
  CF_ASSIGN_OR_RETURN(server.host, Text(from, "host"));
  if (server.host.empty()) return Invalid("host", "is missing");
  if (server.host.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789.-:_") != std::string::npos) {
    return Invalid("host", "must be a host name or an address");
  }
  CF_ASSIGN_OR_RETURN(server.security, ReadSecurity(from));
  CF_ASSIGN_OR_RETURN(server.port, ReadPort(from, server.security));
  CF_ASSIGN_OR_RETURN(server.user, Text(from, "username"));
  if (!server.user.empty() && server.security == net::MailTls::kNone) {
    return Invalid("username", "a password is not sent without TLS; set tls");
  }
  if (!server.user.empty() && password.empty()) return Invalid("username", "has no password");
  auto tls = std::make_shared<net::TlsOptions>();
  CF_ASSIGN_OR_RETURN(tls->ca_pem, Text(from, "caBundle"));
  server.tls = std::move(tls);
  server.password = std::move(password);
  return server;
}

Result<std::vector<Mailbox>> ParseAll(const std::vector<std::string>& texts) {
  std::vector<Mailbox> mailboxes;
  for (const std::string& text : texts) {
    CF_ASSIGN_OR_RETURN(Mailbox mailbox, ParseMailbox(text));
    mailboxes.push_back(std::move(mailbox));
  }
  return mailboxes;
}

void AddAddresses(const std::vector<Mailbox>& from, std::vector<std::string>& to) {
  for (const Mailbox& mailbox : from) {
    if (std::find(to.begin(), to.end(), mailbox.address) == to.end()) {
      to.push_back(mailbox.address);
    }
  }
}

class SmtpNotifier : public seams::Notifier {
 public:
  SmtpNotifier(net::MailServer server, Mailbox from, net::MailClient& client)
      : server_(std::move(server)), from_(std::move(from)), client_(client) {}

  Result<void> Send(const Context& ctx, const seams::Notification& notification) override {
    Message message;
    CF_ASSIGN_OR_RETURN(message.to, ParseAll(notification.to));
    CF_ASSIGN_OR_RETURN(message.cc, ParseAll(notification.cc));
    CF_ASSIGN_OR_RETURN(const std::vector<Mailbox> bcc, ParseAll(notification.bcc));
    net::Envelope envelope;
    envelope.from = from_.address;
    AddAddresses(message.to, envelope.to);
    AddAddresses(message.cc, envelope.to);
    AddAddresses(bcc, envelope.to);  // in the envelope alone
    if (envelope.to.empty() || envelope.to.size() > kMaxRecipients) {
      return Invalid("to", "needs 1 to 100 addresses");
    }
    message.from = from_;
    message.id = notification.id;
    message.subject = notification.subject;
    message.body = notification.body;
    message.date = ctx.clock.Now();
    auto sent = client_.Send(ctx, server_, envelope, Compose(message));
    if (!sent.ok()) return Annotate(std::move(sent).error(), "mail by " + server_.host);
    return {};
  }

 private:
  net::MailServer server_;
  Mailbox from_;
  net::MailClient& client_;
};

}  // namespace

Result<std::unique_ptr<seams::Notifier>> MakeSmtpNotifier(std::string_view settings_json,
                                                          SecretBytes password,
                                                          net::MailClient& client) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(settings_json));
  const json& from = kube::Json(document);
  CF_ASSIGN_OR_RETURN(net::MailServer server, ReadServer(from, std::move(password)));
  CF_ASSIGN_OR_RETURN(const std::string sender, Text(from, "from"));
  Result<Mailbox> mailbox = ParseMailbox(sender);
  if (!mailbox.ok()) return Invalid("from", mailbox.error().message);
  return std::unique_ptr<seams::Notifier>(
      new SmtpNotifier(std::move(server), std::move(*mailbox), client));
}

}  // namespace certflow::providers::smtp
