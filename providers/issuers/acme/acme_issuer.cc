#include "providers/issuers/acme/acme_issuer.h"

#include <algorithm>
#include <utility>

#include "controller/net/retry_after.h"
#include "controller/pki/certificate.h"
#include "controller/pki/request.h"
#include "providers/issuers/acme/memo.h"
#include "providers/issuers/acme/order_search.h"
#include "providers/issuers/acme/proofs.h"
#include "providers/issuers/acme/settings.h"

namespace certflow::providers::acme {
namespace {

using seams::Issuance;
using seams::IssueNeedsAction;
using seams::IssuePending;
using seams::IssueRequest;
using seams::StepMemo;

constexpr int kMaxOrders = 3;

// RFC 8555 section 7.4: the CSR holds exactly the names of the order.
std::vector<std::string> NamesOf(const pki::RequestNames& names) {
  std::vector<std::string> all = names.dns_names;
  if (!names.common_name.empty()) all.push_back(names.common_name);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Result<void> CheckNames(const std::vector<std::string>& names) {
  if (names.empty() || names.size() > kMaxNames) {
    return MakeError(ErrorCode::kInvalid, "AcmeNames",
                     "an order has 1 to " + std::to_string(kMaxNames) + " names");
  }
  for (const std::string& name : names) CF_RETURN_IF_ERROR(pki::CheckDnsName(name));
  return {};
}

Issuance Wait(std::string_view waiting_for, Duration poll_after, StepMemo memo) {
  return IssuePending{std::string(waiting_for), poll_after, std::move(memo)};
}

Issuance NewOrder(StepMemo memo) { return IssueNeedsAction{"NewOrder", std::move(memo)}; }

// Steps that may be taken twice.
Issuance Repeatable(std::string_view action, StepMemo memo) {
  return IssueNeedsAction{std::string(action), std::move(memo), false};
}

class AcmeIssuer final : public seams::Issuer {
 public:
  AcmeIssuer(AcmeParts parts, ServerSettings settings)
      : parts_(std::move(parts)), settings_(std::move(settings)) {}

  Result<Issuance> Observe(const Context& ctx, const IssueRequest& what,
                           const StepMemo& memo) override;
  Result<Issuance> Advance(const Context& ctx, const IssueRequest& what,
                           const StepMemo& memo) override;
  Result<void> Cleanup(const Context& ctx, const IssueRequest& what, const StepMemo& memo) override;

 private:
  AcmeClient Client(AccountUse use) {
    return AcmeClient(parts_.http, *parts_.cache, parts_.account_key, settings_, use);
  }
  Result<std::optional<Order>> LoadOrder(const Context& ctx, AcmeClient& client,
                                         const IssueRequest& what, const StepMemo& memo);
  Result<Issuance> Decide(const Context& ctx, StepMemo memo) const;
  Result<Issuance> ObserveIntent(const Context& ctx, AcmeClient& client, const IssueRequest& what,
                                 StepMemo memo);
  Result<Issuance> CreateOrder(const Context& ctx, AcmeClient& client, const IssueRequest& what,
                               StepMemo memo);
  Result<Issuance> Finalize(const Context& ctx, AcmeClient& client, const IssueRequest& what,
                            const Order& order, StepMemo memo);
  Result<Issuance> Download(const Context& ctx, AcmeClient& client, const IssueRequest& what,
                            const Order& order, StepMemo memo);

  AcmeParts parts_;
  ServerSettings settings_;
  std::optional<Duration> retry_after_;  // of the order's last answer
};

// A fresh intent; proofs of an order that went before stay noted until they are taken back.
Result<Issuance> AcmeIssuer::Decide(const Context& ctx, StepMemo memo) const {
  const int orders = MemoNumber(memo, kOrders) + 1;
  if (orders > kMaxOrders) {
    return MakeError(ErrorCode::kRefused, "AcmeOrderLost",
                     "the ACME server lost " + std::to_string(kMaxOrders) + " orders");
  }
  for (const std::string_view key : {kOrder, kPosted, kTries, kSince}) {
    memo.erase(std::string(key));
  }
  SetMemo(memo, kIntent, "order");
  SetMemo(memo, kIntentAt, FormatTime(ctx.clock.Now()));
  SetMemo(memo, kOrders, std::to_string(orders));
  return NewOrder(std::move(memo));
}

// Empty when the order is gone: unknown to the server (which may have lost the account as well),
// past its end, or finished with somebody else's key.
Result<std::optional<Order>> AcmeIssuer::LoadOrder(const Context& ctx, AcmeClient& client,
                                                   const IssueRequest& what, const StepMemo& memo) {
  const Result<net::HttpResponse> response = client.Read(ctx, MemoText(memo, kOrder));
  if (!response.ok()) {
    if (response.error().code == ErrorCode::kNotFound) return std::optional<Order>();
    return Annotate(response.error(), "read the order");
  }
  retry_after_ = RetryAfter(*response, ctx.clock.Now());
  CF_ASSIGN_OR_RETURN(Order order, ParseOrder(response->body));
  if (order.names != NamesOf(what.names)) return std::optional<Order>();
  const bool open = order.status == OrderStatus::kPending || order.status == OrderStatus::kReady;
  if (open && order.expires && *order.expires <= ctx.clock.Now()) return std::optional<Order>();
  return std::optional(std::move(order));
}

Result<Issuance> AcmeIssuer::ObserveIntent(const Context& ctx, AcmeClient& client,
                                           const IssueRequest& what, StepMemo memo) {
  const Result<WallTime> intent = ParseTime(MemoText(memo, kIntentAt));
  if (!intent.ok()) return Decide(ctx, std::move(memo));
  Result<std::optional<std::string>> found =
      FindOrder(ctx, client, {NamesOf(what.names), what.key, *intent});
  if (!found.ok()) {
    if (found.error().code != ErrorCode::kNotFound) {
      return Annotate(std::move(found).error(), "look for the order");
    }
    found = std::optional<std::string>();  // no account yet, so no order
  }
  if (!*found) return NewOrder(std::move(memo));
  SetMemo(memo, kOrder, **found);
  MarkProgress(memo, ctx.clock.Now());
  return Repeatable("ProveControl", std::move(memo));
}

Result<Issuance> AcmeIssuer::Observe(const Context& ctx, const IssueRequest& what,
                                     const StepMemo& memo) {
  if (MemoText(memo, kIntent).empty()) return Decide(ctx, memo);
  AcmeClient client = Client(AccountUse::kFind);
  if (MemoText(memo, kOrder).empty()) return ObserveIntent(ctx, client, what, memo);
  CF_ASSIGN_OR_RETURN(const std::optional<Order> order, LoadOrder(ctx, client, what, memo));
  if (!order) return Decide(ctx, memo);
  switch (order->status) {
    case OrderStatus::kPending:
      return Repeatable("ProveControl", memo);
    case OrderStatus::kReady:
      return Repeatable("Finalize", memo);
    case OrderStatus::kProcessing:
      return Wait("the CA to issue", PollDelay(memo, ctx.clock.Now(), retry_after_), memo);
    case OrderStatus::kValid:
      return Download(ctx, client, what, *order, memo);
    case OrderStatus::kInvalid:
      break;
  }
  return Proofs(client, parts_.solvers).ExplainInvalid(ctx, *order);
}

Result<Issuance> AcmeIssuer::CreateOrder(const Context& ctx, AcmeClient& client,
                                         const IssueRequest& what, StepMemo memo) {
  // After a lost order the caller goes on without Observe, so the look for an order that was made
  // and not noted is due here.
  if (MemoNumber(memo, kOrders) > 1) {
    CF_ASSIGN_OR_RETURN(Issuance found, ObserveIntent(ctx, client, what, memo));
    auto* action = std::get_if<IssueNeedsAction>(&found);
    if (action == nullptr || !action->once) return found;
  }
  // Best effort: what is left stays in the memo for the last clean-up.
  if (const Result<void> left = Proofs(client, parts_.solvers).CleanupAll(ctx, memo); !left.ok()) {
    ctx.log.Warning("proofs of a lost order are left", {{"error", left.error().message}});
  }
  const std::vector<std::string> names = NamesOf(what.names);
  CF_RETURN_IF_ERROR(CheckNames(names));
  Result<net::HttpResponse> response = client.PostOrder(ctx, NewOrderPayload(names));
  if (!response.ok()) return Annotate(std::move(response).error(), "make an order");
  const std::string_view url = response->header("location");
  if (!IsServerUrl(url)) {
    return MakeError(ErrorCode::kRefused, "AcmeBadAnswer", "the ACME server gave no order URL");
  }
  SetMemo(memo, kOrder, url);
  MarkProgress(memo, ctx.clock.Now());
  return Wait("the order to be worked on", Duration(0), std::move(memo));
}

Result<Issuance> AcmeIssuer::Finalize(const Context& ctx, AcmeClient& client,
                                      const IssueRequest& what, const Order& order, StepMemo memo) {
  CF_ASSIGN_OR_RETURN(const std::string csr, pki::MakeCertificateRequest(what.key, what.names));
  const Result<net::HttpResponse> response = client.Post(ctx, order.finalize, FinalizePayload(csr));
  if (!response.ok()) {
    // Somebody was faster, or the server is not as far as it said: its status tells.
    if (response.error().reason == "AcmeOrderNotReady") {
      const Duration wait = PollDelay(memo, ctx.clock.Now(), response.error().retry_after);
      return Wait("the order to become ready", wait, std::move(memo));
    }
    return Annotate(response.error(), "finalize the order");
  }
  MarkProgress(memo, ctx.clock.Now());
  CF_ASSIGN_OR_RETURN(const Order after, ParseOrder(response->body));
  if (after.status == OrderStatus::kValid) {
    return Download(ctx, client, what, after, std::move(memo));
  }
  const Duration wait = PollDelay(memo, ctx.clock.Now(), RetryAfter(*response, ctx.clock.Now()));
  return Wait("the CA to issue", wait, std::move(memo));
}

Result<Issuance> AcmeIssuer::Download(const Context& ctx, AcmeClient& client,
                                      const IssueRequest& what, const Order& order, StepMemo memo) {
  Result<net::HttpResponse> response = client.Read(ctx, order.certificate, kChainType);
  if (!response.ok()) return Annotate(std::move(response).error(), "download the certificate");
  CF_ASSIGN_OR_RETURN(std::string chain, pki::OrderChain(response->body));
  // The order was finished with another key: the stored one was lost and made anew.
  if (!pki::CheckPair(chain, what.key).ok()) return Decide(ctx, std::move(memo));
  CF_ASSIGN_OR_RETURN(const std::vector<pki::CertificateInfo> read, pki::ReadChain(chain));
  for (const std::string& name : NamesOf(what.names)) {
    const auto& issued = read.front().dns_names;
    if (std::find(issued.begin(), issued.end(), name) == issued.end()) {
      return MakeError(ErrorCode::kRefused, "AcmeWrongNames",
                       "the CA's certificate lacks the name " + name);
    }
  }
  return Issuance(seams::Issued{std::move(chain), ""});
}

Result<Issuance> AcmeIssuer::Advance(const Context& ctx, const IssueRequest& what,
                                     const StepMemo& memo) {
  if (MemoText(memo, kIntent).empty()) return Decide(ctx, memo);
  AcmeClient client = Client(AccountUse::kRegister);
  if (MemoText(memo, kOrder).empty()) return CreateOrder(ctx, client, what, memo);
  CF_ASSIGN_OR_RETURN(const std::optional<Order> order, LoadOrder(ctx, client, what, memo));
  if (!order) return Decide(ctx, memo);
  switch (order->status) {
    case OrderStatus::kPending: {
      CF_ASSIGN_OR_RETURN(IssuePending pending,
                          Proofs(client, parts_.solvers).Advance(ctx, *order, memo));
      return Issuance(std::move(pending));
    }
    case OrderStatus::kReady:
      return Finalize(ctx, client, what, *order, memo);
    case OrderStatus::kProcessing:
      return Wait("the CA to issue", PollDelay(memo, ctx.clock.Now(), retry_after_), memo);
    case OrderStatus::kValid:
      return Download(ctx, client, what, *order, memo);
    case OrderStatus::kInvalid:
      break;
  }
  return Proofs(client, parts_.solvers).ExplainInvalid(ctx, *order);
}

// Where not every name's proof is noted, a call may have died between publishing and noting; then
// the order tells what could be outside.
Result<void> AcmeIssuer::Cleanup(const Context& ctx, const IssueRequest& what,
                                 const StepMemo& memo) {
  AcmeClient client = Client(AccountUse::kFind);
  Proofs proofs(client, parts_.solvers);
  StepMemo left = memo;
  CF_RETURN_IF_ERROR(proofs.CleanupAll(ctx, left));
  const bool complete = MemoProofs(memo).size() >= NamesOf(what.names).size();
  if (complete || MemoText(memo, kOrder).empty()) return {};
  const Result<net::HttpResponse> response = client.Read(ctx, MemoText(memo, kOrder));
  if (!response.ok()) {
    if (response.error().code == ErrorCode::kNotFound) return {};
    return Annotate(response.error(), "read the order");
  }
  CF_ASSIGN_OR_RETURN(const Order order, ParseOrder(response->body));
  return proofs.CleanupOrder(ctx, order);
}

}  // namespace

Result<std::unique_ptr<seams::Issuer>> MakeAcmeIssuer(AcmeParts parts,
                                                      std::string_view settings_json) {
  CF_ASSIGN_OR_RETURN(ServerSettings settings, ParseSettings(settings_json));
  if (!parts.cache) parts.cache = std::make_shared<AcmeAccountCache>();
  parts.cache->SeedAccountUrl(parts.account_url);
  return std::unique_ptr<seams::Issuer>(
      std::make_unique<AcmeIssuer>(std::move(parts), std::move(settings)));
}

Result<std::string> EnsureAccount(const Context& ctx, net::HttpClient& http,
                                  AcmeAccountCache& cache, const pki::PrivateKey& account_key,
                                  std::string_view settings_json) {
  CF_ASSIGN_OR_RETURN(const ServerSettings settings, ParseSettings(settings_json));
  return AcmeClient(http, cache, account_key, settings, AccountUse::kRegister).AccountUrl(ctx);
}

}  // namespace certflow::providers::acme
