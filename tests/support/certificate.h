// A certificate that signs itself, made anew for each test.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace qwen3guard::test {

class Certificate {
 public:
  /// Proves `name`, a DNS name.
  explicit Certificate(const std::string& name)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate_, subject);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
    X509_add_ext(certificate_, names, -1);
    X509_EXTENSION_free(names);
    EXPECT_GT(X509_sign(certificate_, key_, EVP_sha256()), 0);
  }
  ~Certificate() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  X509* certificate() const { return certificate_; }
  EVP_PKEY* key() const { return key_; }

  void write_certificate(const std::filesystem::path& path) const {
    std::FILE* file = std::fopen(path.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, certificate_), 1);
    std::fclose(file);
  }
  /// Encrypted with `passphrase`, if there is one.
  void write_key(const std::filesystem::path& path, const std::string& passphrase = "") const {
    std::FILE* file = std::fopen(path.c_str(), "w");
    const auto* phrase = reinterpret_cast<const unsigned char*>(passphrase.data());
    EXPECT_EQ(PEM_write_PrivateKey(file, key_, passphrase.empty() ? nullptr : EVP_aes_128_cbc(),
                                   passphrase.empty() ? nullptr : phrase,
                                   static_cast<int>(passphrase.size()), nullptr, nullptr),
              1);
    std::fclose(file);
  }

 private:
  EVP_PKEY* key_;
  X509* certificate_;
};

}  // namespace qwen3guard::test
