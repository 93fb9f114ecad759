#include "providers/issuers/acme/order_search.h"

#include <algorithm>

#include "controller/pki/certificate.h"

namespace certflow::providers::acme {
namespace {

constexpr int kMaxPages = 500;
constexpr std::size_t kMaxLooks = 200;
constexpr int kMaxOldInARow = 8;
constexpr Duration kSlack = std::chrono::minutes(2);

Result<std::vector<std::string>> ListOrders(const Context& ctx, AcmeClient& client) {
  std::vector<std::string> orders;
  CF_ASSIGN_OR_RETURN(const std::string account_url, client.AccountUrl(ctx));
  CF_ASSIGN_OR_RETURN(net::HttpResponse response, client.Read(ctx, account_url));
  CF_ASSIGN_OR_RETURN(const Account account, ParseAccount(response.body));
  std::string url = account.orders;
  for (int page = 0; page < kMaxPages && !url.empty(); ++page) {
    CF_ASSIGN_OR_RETURN(response, client.Read(ctx, url));
    CF_ASSIGN_OR_RETURN(OrderPage list, ParseOrderPage(response.body));
    orders.insert(orders.end(), list.orders.begin(), list.orders.end());
    url = LinkTarget(response, "next");
  }
  return orders;
}

class Search {
 public:
  Search(const Context& ctx, AcmeClient& client, const SearchFor& wanted)
      : ctx_(ctx), client_(client), wanted_(wanted) {}

  Result<std::optional<std::string>> Run(std::vector<std::string> urls) {
    CF_RETURN_IF_ERROR(PutNewestLast(urls));
    int old_in_a_row = 0;
    for (std::size_t looks = 0; !urls.empty() && looks < kMaxLooks; ++looks) {
      const std::string url = std::move(urls.back());
      urls.pop_back();
      CF_ASSIGN_OR_RETURN(const std::optional<Order> order, Load(url));
      if (!order) continue;
      old_in_a_row = IsOld(*order) ? old_in_a_row + 1 : 0;
      if (old_in_a_row == kMaxOldInARow) break;
      CF_ASSIGN_OR_RETURN(const bool ours, IsOurs(*order));
      if (ours) return std::optional(url);
    }
    return std::optional<std::string>();
  }

 private:
  // An order can be gone between list and look.
  Result<std::optional<Order>> Load(const std::string& url) {
    const Result<net::HttpResponse> response = client_.Read(ctx_, url);
    if (!response.ok()) {
      if (response.error().code == ErrorCode::kNotFound) return std::optional<Order>();
      return response.error();
    }
    CF_ASSIGN_OR_RETURN(Order order, ParseOrder(response->body));
    if (order.expires && (!newest_ || *order.expires > *newest_)) newest_ = order.expires;
    return std::optional(std::move(order));
  }

  // The RFC leaves the list's order open: the end that expires later is the new one.
  Result<void> PutNewestLast(std::vector<std::string>& urls) {
    if (urls.size() < 2) return {};
    CF_ASSIGN_OR_RETURN(const std::optional<Order> first, Load(urls.front()));
    CF_ASSIGN_OR_RETURN(const std::optional<Order> last, Load(urls.back()));
    if (first && last && first->expires && last->expires && *first->expires > *last->expires) {
      std::reverse(urls.begin(), urls.end());
    }
    return {};
  }

  // Orders carry no time of birth. Orders of one server live equally long, and the newest one was
  // made by now; so what expires earlier than that by more than the time since our intent was made
  // before it.
  bool IsOld(const Order& order) const {
    if (!order.expires || !newest_) return false;
    return *order.expires + (ctx_.clock.Now() - wanted_.intent) + kSlack < *newest_;
  }

  Result<bool> IsOurs(const Order& order) {
    if (order.names != wanted_.names || IsOld(order)) return false;
    switch (order.status) {
      case OrderStatus::kPending:
      case OrderStatus::kReady:
      case OrderStatus::kProcessing:
        return !order.expires || *order.expires > ctx_.clock.Now();
      case OrderStatus::kInvalid:
        return false;
      case OrderStatus::kValid:
        break;
    }
    CF_ASSIGN_OR_RETURN(const net::HttpResponse response,
                        client_.Read(ctx_, order.certificate, kChainType));
    return pki::CheckPair(response.body, wanted_.key).ok();
  }

  const Context& ctx_;
  AcmeClient& client_;
  const SearchFor& wanted_;
  std::optional<WallTime> newest_;
};

}  // namespace

Result<std::optional<std::string>> FindOrder(const Context& ctx, AcmeClient& client,
                                             const SearchFor& wanted) {
  CF_ASSIGN_OR_RETURN(std::vector<std::string> urls, ListOrders(ctx, client));
  return Search(ctx, client, wanted).Run(std::move(urls));
}

}  // namespace certflow::providers::acme
