#pragma once

#include <memory>
#include <string_view>

#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/mail_client.h"
#include "controller/seams/notifier.h"

namespace certflow::providers::smtp {

// A NotificationChannel's spec.smtp: {"host","port","tls":"StartTLS"|"Implicit"|"None","caBundle",
// "from","username"} (passwordSecretRef is the caller's). `from` may be "Name <address>". The port
// defaults to 587, 465 or 25 by `tls`, which defaults to StartTLS. kInvalid names the field.
// `client` outlives the notifier, which is as thread-safe as it.
Result<std::unique_ptr<seams::Notifier>> MakeSmtpNotifier(std::string_view settings_json,
                                                          SecretBytes password,
                                                          net::MailClient& client);

}  // namespace certflow::providers::smtp
