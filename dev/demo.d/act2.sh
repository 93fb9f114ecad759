# shellcheck shell=bash
# shellcheck disable=SC2154  # what dev/demo and stage.sh have set
# The second act of dev/demo: one wildcard on an F5 pair, an Apache host and an Ingress, wave by wave, with a failover and a
# broken configuration on the way; source it.

# The places by the names that a person gives them: where they answer, and what a visitor saw there last.
places=(F5 Apache Ingress)
declare -A place=([F5]='' [Apache]='' [Ingress]='') served=() trusted=()
unit_a='' unit_b='' bigip_control='' former='' second='' standing=''

# --- the places ------------------------------------------------------------------------------------------------------

# company_certificate FILE NAME DAYS: $work/FILE.pem and $work/FILE-key.pem, by the company CA, made by hand.
company_certificate() {
  (umask 077 && openssl req -x509 -config "$work/openssl.cnf" -newkey rsa:2048 -nodes -days "$3" -subj "/CN=$2" \
    -CA "$roots/company.pem" -CAkey "$work/values/COMPANY_CA_KEY" -addext basicConstraints=critical,CA:FALSE \
    -addext "subjectAltName=DNS:$2" -keyout "$work/$1-key.pem" -out "$work/$1.pem") 2>"$work/openssl.log"
}

# The pair is as its administrator has left it: a virtual server, a profile for each side, a certificate that ends soon.
note_bigip() {
  ready bigip
  unit_a=$(said a) unit_b=$(said b) bigip_control=$(said control)
  value BIGIP_A <<<"$unit_a"
  value BIGIP_B <<<"$unit_b"
  said user | value BIGIP_USER
  said password | value BIGIP_PASSWORD
  value BIGIP_CA <"$(said ca)"
  (umask 077 && echo "machine 127.0.0.1 login $(said user) password $(said password)" >"$work/bigip.netrc")
  company_certificate former '*.site.test' 5
  former=$(fingerprint <"$work/former.pem")
  place[F5]=$(python3 dev/demo.d/show.py bigip "$work/former.pem" "$work/former-key.pem" |
    curl -sSf "http://$bigip_control/objects" -d @- | jq -r '.virtualServers["/Common/vs_site"]')
  value BIGIP_ENDPOINT <<<"${place[F5]}"
}

note_apache() {
  ready apache
  place[Apache]=$(said https)
  value APACHE_ENDPOINT <<<"${place[Apache]}"
  said server | value APACHECTL
  note_ssh APACHE "$work/apache"
}

# As an ingress controller does it: the Ingress says which Secret.
start_ingress() {
  start_secret_web storefront ingress-controller \
    "$(as admin -n storefront get ingress storefront -o 'jsonpath={.spec.tls[0].secretName}')"
  place[Ingress]=$(said https)
  value INGRESS_ENDPOINT <<<"${place[Ingress]}"
}

# --- looking at them -------------------------------------------------------------------------------------------------

# looks_at_all: one line for each place.
looks_at_all() {
  local one
  for one in "${places[@]}"; do
    look "${place[$one]}" www.site.test "$roots/company.pem"
    served[$one]=$serves trusted[$one]=$verdict
    printf '%svisitor$%s openssl s_client -connect %s -servername www.site.test   # %s\n' "$cyan" "$plain" "${place[$one]}" "$one"
    printf '    %s, %s..., until %s: %s\n' "$(seen_of subject)" "${serves:0:16}" "$(seen_of notAfter)" "$verdict"
  done
}

seen_of() { sed -n "s/^$1=//p" <<<"$seen"; }

# all_serve FINGERPRINT
all_serve() {
  looks_at_all
  expect "all three serve exactly the certificate ${1:0:16}..." "$1 $1 $1" \
    "${served[F5]} ${served[Apache]} ${served[Ingress]}"
  expect "and a client trusts it at all three" "ok ok ok" "${trusted[*]}"
}

# visits [PLACE]: what the visitor saw, shortened; the last three of one place.
visits() {
  grep -a " ${1:-.*} [0-9a-f]*$" "$work/visitor.out" | tail -n "$(if (($#)); then echo 3; else echo 6; fi)" |
    sed 's/\([0-9a-f]\{16\}\)[0-9a-f]*$/\1.../' | indented
}

# changes PLACE: the certificates that the visitor saw there, in their order.
changes() { sed -n "s/^[^ ]* $1 //p" "$work/visitor.out" | tr '\n' ' ' | sed 's/ $//'; }

# bigip ADDRESS PATH FILTER: what the unit's REST says there.
bigip() {
  curl -sSf --netrc-file "$work/bigip.netrc" --cacert "$work/bigip/ca.pem" "https://$1/mgmt/tm/$2" | jq -r "$3"
}

# asks_bigip ADDRESS PATH FILTER: the same, shown; $answer holds it.
asks_bigip() {
  printf '%sf5-admin$%s curl -n https://%s/mgmt/tm/%s\n' "$cyan" "$plain" "$1" "$2"
  answer=$(bigip "$@")
  indented <<<"$answer"
}

roles='.items | sort_by(.name)[] | "\(.name) is \(.failoverState)"'
sync_state='[.. | objects | select(has("status")) | .status.description] | first'
client_profile=ltm/profile/client-ssl/~Common~site_clientssl
server_profile=ltm/profile/server-ssl/~Common~site_serverssl

# requests UNIT METHOD PATH: how many of them that unit has carried out.
requests() {
  curl -sSf "http://$bigip_control/requests?unit=$1" | jq --arg method "$2" --arg path "$3" \
    '[.[] | select(.method == $method and .status == 200 and (.path | test($path)))] | length'
}

of_run() { as admin -n shop get "workflowrun/$run" -o json; }
shows() { of_run | python3 dev/demo.d/show.py "$1"; }

# --- three places, three waves ---------------------------------------------------------------------------------------

# night: 01:00, unless it is about to be that in Istanbul.
night() {
  if [[ $(TZ=Europe/Istanbul date +%H) == 00 ]]; then echo 13:00; else echo 01:00; fi
}

# next_time HH:MM: when it is that in Istanbul the next time.
next_time() {
  local at
  at=$(date -d "TZ=\"Europe/Istanbul\" $1" +%s)
  if ((at <= $(date +%s))); then at=$(date -d "TZ=\"Europe/Istanbul\" $1 tomorrow" +%s); fi
  date -u -d "@$at" +%Y-%m-%dT%H:%M:%SZ
}

declare_places() {
  note_bigip
  note_apache
  tell "the administrator declares three more places: the F5 pair, a host with Apache, the namespace with the Ingress"
  apply admin 50-places.yaml
  start_ingress
  await 120 "certflow can use deploymenttarget/f5-prod" True is_ready deploymenttarget/f5-prod
  await 120 "certflow can use deploymenttarget/apache-1" True is_ready deploymenttarget/apache-1
  await 120 "certflow can use deploymenttarget/ingress" True is_ready deploymenttarget/ingress storefront
}

three_waves() {
  begin_scene "Three places, three waves"
  declare_places
  tell "the F5 pair, as its REST tells it"
  asks_bigip "$unit_a" cm/device "$roles"
  expect_part "the first unit is active" "bigip-1a.example.com is active" "$answer"
  tell "what a visitor sees before"
  looks_at_all
  expect "the F5 serves a certificate that was made by hand, and ends soon" "$former" "${served[F5]}"
  expect_other "Apache serves another one, which nobody trusts" ok "${trusted[Apache]}"
  expect_other "the Ingress has none yet" ok "${trusted[Ingress]}"

  tell "erin applies one workflow for the three, and one whose certificate must not change by day"
  night | value NIGHT
  apply erin 60-site.yaml
  await_run payroll 1
  await_state "payroll's certificate is issued, and waits" Waiting
  field "workflowrun/$run" .status.waitingFor | indented
  printf '\n'
  expect "for $(cat "$work/values/NIGHT") in Istanbul" "$(next_time "$(cat "$work/values/NIGHT")")" \
    "$(field "workflowrun/$run" .status.until)"
  expect "nothing is deployed until then" "" "$(secret_fingerprint payroll-tls)"
  await_run site 1
  await_state "the wildcard *.site.test is issued, and waits for web-team" Waiting
  tell "the plan that is to be approved; which hosts have the label tier=web was asked when it was made"
  shows waves
  expect "the selector has found apache-1" "1/0-apache-1" \
    "$(of_run | jq -r '.spec.plan.targets[] | select(.wave == 1) | .id')"
}

# --- a failover in the middle ----------------------------------------------------------------------------------------

expect_the_pair() {
  tell "what the controller's log says of it"
  answer=$(sed -n 's/.*"reason":"FailedOver","error":"\([^"]*\)".*/\1/p' "$work/certflow.out")
  indented <<<"$answer"
  expect_part "it has noticed" "going on with the unit that has taken over" "$answer"
  tell "the pair: the other unit is active now"
  asks_bigip "$unit_b" cm/device "$roles"
  expect_part "the second unit is active" "bigip-1b.example.com is active" "$answer"
  expect "the first one had taken the certificate as a file, and lost its role" 1 "$(requests a POST sys/file/ssl-cert)"
  expect "nothing was switched there" 0 "$(requests a PATCH ^/mgmt/tm/)"
  asks_bigip "$unit_b" "$client_profile" '.certKeyChain[] | "\(.cert)  \(.key)"'
  expect_part "the active unit's client-side profile names this run's certificate" "_ST-${run#st-}.crt" "$answer"
  standing=$answer
  asks_bigip "$unit_b" "$server_profile" '"\(.cert)  \(.key)"'
  expect_part "its server-side profile does too" "_ST-${run#st-}.crt" "$answer"
  asks_bigip "$unit_b" cm/sync-status "$sync_state"
  expect "and the first unit has followed" "In Sync" "$answer"
}

# row SIDE: what the run says of the virtual server on that side.
row() {
  of_run | jq -r --arg side "$1" '.status.deployments[] | select(.type == "f5" and .side == $side) |
    "\(.device) \(.address):\(.port) \(.virtualHost) \(.profile) \(.state), before \(.previous), \(.fingerprint)"'
}

expect_rows() {
  tell "what the run says of its places (kubectl -n shop get workflowrun $run -o yaml, .status.deployments)"
  shows places
  expect "the F5, client-side" "$unit_b 10.10.10.20:443 /Common/vs_site /Common/site_clientssl $2" "$(row ClientSide)"
  expect "the F5, server-side" "$unit_b 10.10.10.20:443 /Common/vs_site /Common/site_serverssl $2" "$(row ServerSide)"
  expect "$1 places in all" "$1" "$(of_run | jq '.status.deployments | length')"
}

# in_order: the deployments and proofs of the run, each begun when the one before had ended.
in_order() {
  of_run | jq -r '[.status.ledger[] | select(.step == "Deployment" or .step == "Validation")] |
    if all(range(1; length) as $i | .[$i - 1].endedAt <= .[$i].startedAt; .)
    then map(.target // "proof") | join(" ") else "one began before the other had ended" end'
}

a_failover() {
  begin_scene "A failover in the middle"
  tell "the active unit will lose its role as soon as it has taken the certificate's file, and a visitor looks all the time"
  curl -sSf "http://$bigip_control/faults" -d '{"method": "POST", "path": "sys/file/ssl-cert", "fault": "failover-after"}' \
    >"$work/faults.log"
  launch visitor python3 dev/demo.d/show.py watch www.site.test "F5=${place[F5]}" "Apache=${place[Apache]}" \
    "Ingress=${place[Ingress]}"
  ready visitor
  approves dora
  await_state "the run goes through all three waves" Succeeded
  second=$(field "workflowrun/$run" .status.certificate.fingerprint)
  expect_the_pair
  expect_rows 5 "Deployed, before original-${former:0:8}, $second"
  tell "its ledger, from the first deployment on"
  shows deployment
  expect "each wave was proved before the next began" \
    "0/0-secret 0/1-f5-prod proof 1/0-apache-1 proof 2/0-ingress proof" "$(in_order)"
  tell "what the visitor saw meanwhile"
  visits
  expect "the new certificate appeared on the F5, then on Apache, then on the Ingress" "F5 Apache Ingress" \
    "$(sed -n "s/^[^ ]* \([^ ]*\) $second$/\1/p" "$work/visitor.out" | tr '\n' ' ' | sed 's/ $//')"
  all_serve "$second"
}

# --- everything back -------------------------------------------------------------------------------------------------

expect_told() {
  local why="Invalid command 'this'"
  expect_part "the run's status says why" "$why" "$(field "workflowrun/$run" .status.message)"
  tell "so do the events"
  types admin -n shop get events.events.k8s.io --field-selector "regarding.name=$run"
  expect_part "one says what failed" "$why" "$answer"
  expect_part "one that it is rolled back" RolledBack "$answer"
  await_mail "and web-team's mail" "Subject: [certflow] RolledBack" "ST-${run#st-}" "$why"
}

all_back() {
  begin_scene "Everything back"
  tell "dora asks for a renewal"
  renewal site 2 "new key after the audit"
  tell "somebody breaks the configuration of Apache, after the checks"
  echo "this is not a configuration" >"$work/apache/sites-enabled/zz-broken.conf"
  approves emil
  await_state "the second wave fails, and the first is put back" RolledBack
  field "workflowrun/$run" .status.message | indented
  printf '\n'
  tell "its ledger: the first wave was live and proved, the second failed, the third was not begun"
  shows deployment
  expect "the third wave was not begun" Pending \
    "$(of_run | jq -r '.status.ledger[] | select(.target == "2/0-ingress" and .step == "Deployment") | .state')"
  local newest
  newest=$(field "workflowrun/$run" .status.certificate.fingerprint)
  tell "what the visitor saw on the F5"
  visits F5
  expect "there the new certificate came, and went again" "$former $second $newest $second" "$(changes F5)"
  expect "Apache and the Ingress stayed as they were" "$second $second" \
    "$(changes Apache | sed 's/.* //') $(changes Ingress | sed 's/.* //')"
  expect_rows 3 "Reverted, before $run, $second"
  asks_bigip "$unit_b" "$client_profile" '.certKeyChain[] | "\(.cert)  \(.key)"'
  expect "the profile names the former certificate again" "$standing" "$answer"
  await 30 "what the failed run had put there is taken away, on both units" "In Sync" \
    bigip "$unit_b" cm/sync-status "$sync_state"
  all_serve "$second"
  expect_told
}

act_2() {
  begin_act "Act 2: one certificate, three places"
  three_waves
  a_failover
  all_back
}

how_to_talk_2() {
  cat <<TEXT

  for place in ${place[F5]} ${place[Apache]} ${place[Ingress]}; do    # F5, Apache, Ingress
    openssl s_client -connect \$place -servername www.site.test -CAfile $roots/company.pem </dev/null
  done
  f5() { curl -sS --netrc-file $work/bigip.netrc --cacert $work/bigip/ca.pem "\$@" | jq; }
  f5 https://$unit_a/mgmt/tm/cm/device      # the other unit is $unit_b
  curl -sS http://$bigip_control/failover -d '{"unit": "a"}'
  Apache          $work/apache/apache2.conf (mend it: rm $work/apache/sites-enabled/zz-broken.conf)
TEXT
}
