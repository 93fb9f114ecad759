# shellcheck shell=bash
# shellcheck disable=SC2154  # what dev/demo and stage.sh have set
# The first act of dev/demo: two workflows on a web server behind an approval, and on a Secret; source it.

first='' third=''

# --- two workflows ---------------------------------------------------------------------------------------------------

# Decisions are proved on runs that were made five seconds after the policy was applied, or later.
await_policies() { while ((SECONDS - policies_at < 7)); do sleep 0.2; done; }

two_workflows() {
  begin_scene "Two workflows"
  tell "the administrator makes the namespace shop, says who may do what in it, and declares the parties outside"
  apply admin 10-people.yaml
  apply admin 20-secrets.yaml
  start_secret_web shop secret-web intranet-tls
  intranet=$(said https)
  said https | value INTRANET_ENDPOINT
  apply admin 30-outside.yaml
  for object in certificateauthority/{public-acme,company-ca} deploymenttarget/edge notificationchannel/mail; do
    await 120 "certflow can use $object" True is_ready "$object"
  done

  tell "what a visitor of the intranet sees before"
  looks_at "$intranet" intranet.example.test "$roots/company.pem"
  expect_part "a placeholder, which nobody trusts" "CN = placeholder" "$seen"

  tell "erin of the platform team applies the two workflows; from here on nobody's hand is needed but the approver's"
  await_policies
  apply erin 40-workflows.yaml
  await_run intranet 1
  await_state "the certificate of the company CA is issued, deployed and proved" Succeeded
  looks_at "$intranet" intranet.example.test "$roots/company.pem"
  expect "the intranet serves exactly the certificate of that run" "$(field "workflowrun/$run" .status.certificate.fingerprint)" "$serves"
  expect "and a client trusts it" ok "$verdict"

  await_run wildcard 1
  await_state "the wildcard is issued by ACME (dns-01 at BIND) and waits" Waiting
  types erin -n shop get cwf,cwr
}

# --- an approval -----------------------------------------------------------------------------------------------------

forgery() {
  tell "mallory of the help desk has the approver's role, but no workflow asks the help desk; so she writes dora's name"
  types mallory -n shop annotate workflowrun "$run" "certflow.dev/approve=deployment by dora in web-team"
  expect_other "the API server refuses it" 0 "$code"
  expect_part "and says why" "a decision names who writes it: write 'by mallory'" "$answer"
  tell "under her own name she may write, but it does not count"
  types mallory -n shop annotate workflowrun "$run" certflow.dev/approve.mallory=deployment
  expect "the API server takes it, it is what she is" 0 "$code"
  await 120 "certflow records that it does not count" mallory field "workflowrun/$run" '.status.refusals[*].user'
  field "workflowrun/$run" '.status.refusals[0].message' | indented
  printf '\n'
  expect "the run still waits" Waiting "$(field "workflowrun/$run" .status.state)"
}

# approves USER: in the bare form.
approves() {
  types "$1" -n shop annotate --overwrite workflowrun "$run" certflow.dev/approve=deployment
  expect "the API server takes it" 0 "$code"
  expect "and has filled in who it was" "deployment by $1 in web-team" \
    "$(field "workflowrun/$run" '.metadata.annotations.certflow\.dev/approve')"
}

# everywhere FINGERPRINT: the host and the Secret hold that certificate.
everywhere() {
  looks_at "$edge" www.example.test "$roots/acme.pem"
  expect "nginx serves exactly that certificate" "$1" "$serves"
  expect "the Secret wildcard-tls holds the same one" "$1" "$(secret_fingerprint wildcard-tls)"
}

an_approval() {
  begin_scene "An approval"
  tell "what a visitor of the shop sees before"
  looks_at "$edge" www.example.test "$roots/acme.pem"
  expect_part "the certificate that the host was set up with, which nobody trusts" "CN = original.test" "$seen"
  expect "the run waits for web-team, nothing is deployed yet" "" "$(secret_fingerprint wildcard-tls)"
  await_mail "web-team is asked by mail, with the exact command" "Subject:" "ApprovalRequested" \
    "kubectl annotate workflowrun -n shop $run"
  forgery

  tell "dora of web-team approves; she writes the gate alone, her name and groups are filled in by the server"
  approves dora
  await_state "the run goes on: deployed, looked at from outside, recorded" Succeeded
  first=$(field "workflowrun/$run" .status.certificate.fingerprint)
  everywhere "$first"
  expect "and a client trusts it" ok "$verdict"
  expect "every look from outside passed" Passed \
    "$(field "workflowrun/$run" '.status.evidence[*].verdict' | tr ' ' '\n' | sort -u)"
  expect "the approval is on record as dora's" "Approved dora" \
    "$(field "workflowrun/$run" '.status.approvals[0].decision') $(field "workflowrun/$run" '.status.approvals[0].user')"
  tell "the record of the run (kubectl -n shop get workflowrun $run -o json)"
  record
  await_mail "web-team is told by mail, under the workflow's own subject" "Subject: *.example.test is renewed" "$first"
}

# --- a deployment that fails -----------------------------------------------------------------------------------------

# renewal WORKFLOW NUMBER TEXT: dora asks for one; it comes to the gate.
renewal() {
  types dora -n shop annotate --overwrite certificateworkflow "$1" "certflow.dev/renew=$3"
  expect "the API server takes it" 0 "$code"
  await_run "$1" "$2"
  await_state "a new certificate is issued and waits for approval" Waiting
  expect "the run knows who asked" dora "$(field "workflowrun/$run" .spec.trigger.requestedBy)"
}

broken_pass() {
  tell "meanwhile somebody breaks the configuration of nginx on the host, and nobody notices"
  echo "this is not a configuration;" >"$work/webhost/conf.d/broken.conf"
  tell "dora asked for this run, so another one approves it: emil of web-team"
  approves emil
  await_state "the deployment fails and is rolled back" RolledBack
  field "workflowrun/$run" .status.message | indented
  printf '\n'
  everywhere "$first"
  expect "the old certificate is still trusted" ok "$verdict"
  tell "the record"
  record
  await_mail "web-team is told that it was rolled back" "Subject: [certflow] RolledBack" "ST-${run#st-}"
}

a_failure() {
  begin_scene "A deployment that fails"
  tell "dora asks for a renewal before its time"
  renewal wildcard 2 "key rotation"
  broken_pass

  tell "the configuration is mended, and dora asks again"
  rm "$work/webhost/conf.d/broken.conf"
  renewal wildcard 3 "again, nginx is mended"
  approves emil
  await_state "this time it goes through" Succeeded
  third=$(field "workflowrun/$run" .status.certificate.fingerprint)
  expect_other "it is a new certificate" "$first" "$third"
  everywhere "$third"
  expect "and a client trusts it" ok "$verdict"
  await_mail "web-team is told by mail" "Subject: *.example.test is renewed" "$third"
  types erin -n shop get cwf,cwr
}

act_1() {
  begin_act "Act 1: a web server, and people who must agree"
  two_workflows
  an_approval
  a_failure
}
