#include "delivery_rig.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace kage::submission::test {

void make_certificate(const std::string& folder, const std::string& name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  auto* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, subject);
  const std::string names = (name == "127.0.0.1" ? "IP:" : "DNS:") + name;
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate, key, EVP_sha256());
  const auto write = [&](const char* file, auto&& put) {
    std::FILE* out = std::fopen((folder + file).c_str(), "w");
    if (out == nullptr || put(out) != 1) throw std::runtime_error("no certificate");
    std::fclose(out);
  };
  write("/cert.pem", [&](std::FILE* out) { return PEM_write_X509(out, certificate); });
  write("/key.pem", [&](std::FILE* out) {
    return PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(certificate);
  EVP_PKEY_free(key);
}

namespace {

net::Task<void> run_and_stop(net::Loop* loop, net::Task<void> task, bool* done) {
  co_await std::move(task);
  *done = true;
  loop->defer([loop] { loop->stop(); });  // it may not run yet
}

net::Task<void> note_served(std::map<std::size_t, int>* served, std::size_t index) {
  ++(*served)[index];
  co_return;
}

}  // namespace

void run(net::Loop& loop, net::Task<void> task) {
  bool done = false;
  net::spawn(run_and_stop(&loop, std::move(task), &done));
  loop.run();
  if (!done) throw std::runtime_error("the loop ended before the task");
}

Copy make_copy(std::string_view recipient, std::string header) {
  auto address = message::parse_address(recipient);
  if (!address) throw std::runtime_error("not an address: " + std::string(recipient));
  Copy copy;
  copy.mail_from = "b-test@p.example";
  copy.recipient = std::move(*address);
  copy.header = std::move(header);
  return copy;
}

std::vector<Copy> make_copies(std::size_t count, std::string_view domain) {
  std::vector<Copy> copies;
  for (std::size_t i = 0; i < count; ++i) {
    const auto name = "r" + std::to_string(i) + ".";
    copies.push_back(make_copy(name + "x@" + std::string(domain), "Subject: for " + name + "\r\n"));
  }
  return copies;
}

std::string make_body(std::size_t size) {
  std::string body;
  for (std::size_t line = 0; body.size() + 80 < size; ++line) {
    body += (line % 3 == 0 ? "." : "") + std::to_string(line) + " the quick brown fox\r\n";
  }
  body.append(size > body.size() + 2 ? size - body.size() - 2 : 0, 'x');
  return body + "\r\n";
}

Rig::Rig() {
  sink->listen();
  use({hop_to(*sink)});
  options.spool_dir = spool.path();
}

Rig::~Rig() {
  hops.reset();
  sink->stop();
}

NextHopOptions Rig::hop_to(const SmtpSink& to, std::vector<std::string> domains) const {
  NextHopOptions out;
  out.name = "sink";
  out.domains = std::move(domains);
  out.host = "127.0.0.1";
  out.port = to.port();
  out.tls = HopTls::none;
  out.connect_timeout = net::Millis(2000);
  out.command_timeout = net::Millis(2000);
  out.final_timeout = net::Millis(2000);
  return out;
}

void Rig::use(std::vector<NextHopOptions> all) {
  hops = std::make_unique<NextHops>(loop, "gw.example", std::move(all));
}

net::Task<void> Rig::delivery(std::vector<Copy> copies, std::string body, std::size_t chunk,
                              std::vector<CopyResult>* into) {
  auto* counts = &served;
  Delivery one(loop, *hops, std::move(copies), options,
               [counts](std::size_t index) { return note_served(counts, index); });
  co_await one.open();
  for (std::size_t at = 0; at < body.size(); at += chunk) {
    co_await one.write(std::string_view(body).substr(at, chunk));
  }
  *into = co_await one.finish();
}

void Rig::deliver(std::vector<Copy> copies, const std::string& body, std::size_t chunk) {
  results.clear();
  served.clear();
  run(loop, delivery(std::move(copies), body, chunk, &results));
}

}  // namespace kage::submission::test
