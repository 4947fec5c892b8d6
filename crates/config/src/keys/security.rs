//! Broker keys: TLS, SASL, authorization and tokens.

use crate::declaration::{Declaration, Kind, Rule, boolean, class, double, int, list, long, short, string, unset};

pub(super) const KEYS: &[Declaration] = &[
    string("authorizer.class.name", "")
        .refused("Java class that decides who may do what. Ottla asks nobody yet, so it takes none."),
    class("principal.builder.class", "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder")
        .per_broker()
        .refused("Java class that names a connection's user."),
    string("super.users", "").unlisted().accepted("Users that Kafka's authorizer lets do everything."),
    boolean("allow.everyone.if.no.acl.found", "false")
        .unlisted()
        .accepted("What Kafka's authorizer does where no rule says anything."),
    unset("security.providers", Kind::String).accepted("Java classes of security providers."),
    boolean("ssl.allow.dn.changes", "false").accepted("Whether a new certificate may carry another name."),
    boolean("ssl.allow.san.changes", "false").accepted("Whether a new certificate may carry other alternative names."),
    list("ssl.cipher.suites", "").per_broker().accepted("TLS cipher suites."),
    string("ssl.client.auth", "none")
        .rule(Rule::OneOf(&["required", "requested", "none"]))
        .per_broker()
        .accepted("Whether a client needs a certificate."),
    list("ssl.enabled.protocols", "TLSv1.2,TLSv1.3").per_broker().accepted("TLS versions."),
    string("ssl.endpoint.identification.algorithm", "https").per_broker().accepted("How a server's name is checked."),
    unset("ssl.engine.factory.class", Kind::Class).per_broker().accepted("Java class that makes TLS engines."),
    unset("ssl.key.password", Kind::Password).per_broker().accepted("Password of the private key."),
    string("ssl.keymanager.algorithm", "SunX509").per_broker().accepted("Algorithm of Java's key manager."),
    unset("ssl.keystore.certificate.chain", Kind::Password).per_broker().accepted("Certificate chain in PEM."),
    unset("ssl.keystore.key", Kind::Password).per_broker().accepted("Private key in PEM."),
    unset("ssl.keystore.location", Kind::String).per_broker().accepted("File of the key store."),
    unset("ssl.keystore.password", Kind::Password).per_broker().accepted("Password of the key store."),
    string("ssl.keystore.type", "JKS").per_broker().accepted("Format of the key store."),
    string("ssl.principal.mapping.rules", "DEFAULT").accepted("How a certificate's name becomes a user."),
    string("ssl.protocol", "TLSv1.3").per_broker().accepted("TLS version that is preferred."),
    unset("ssl.provider", Kind::String).per_broker().accepted("Java security provider for TLS."),
    unset("ssl.secure.random.implementation", Kind::String)
        .per_broker()
        .accepted("Java's source of randomness for TLS."),
    string("ssl.trustmanager.algorithm", "PKIX").per_broker().accepted("Algorithm of Java's trust manager."),
    unset("ssl.truststore.certificates", Kind::Password).per_broker().accepted("Trusted certificates in PEM."),
    unset("ssl.truststore.location", Kind::String).per_broker().accepted("File of the trust store."),
    unset("ssl.truststore.password", Kind::Password).per_broker().accepted("Password of the trust store."),
    string("ssl.truststore.type", "JKS").per_broker().accepted("Format of the trust store."),
    list("sasl.enabled.mechanisms", "GSSAPI").per_broker().accepted("SASL mechanisms that are offered."),
    string("sasl.mechanism.inter.broker.protocol", "GSSAPI").per_broker().accepted("SASL mechanism between brokers."),
    string("sasl.mechanism.controller.protocol", "GSSAPI").accepted("SASL mechanism to the controller."),
    unset("sasl.jaas.config", Kind::Password).per_broker().accepted("JAAS login of a listener."),
    unset("sasl.client.callback.handler.class", Kind::Class).accepted("Java class of a SASL client's callbacks."),
    unset("sasl.server.callback.handler.class", Kind::Class).accepted("Java class of a SASL server's callbacks."),
    unset("sasl.login.callback.handler.class", Kind::Class).accepted("Java class of a SASL login's callbacks."),
    unset("sasl.login.class", Kind::Class).accepted("Java class of a SASL login."),
    int("sasl.server.max.receive.size", "524288").accepted("Largest SASL message before authentication."),
    string("sasl.kerberos.kinit.cmd", "/usr/bin/kinit").per_broker().accepted("Path of Kerberos' `kinit`."),
    long("sasl.kerberos.min.time.before.relogin", "60000")
        .per_broker()
        .accepted("Shortest time between two Kerberos logins."),
    list("sasl.kerberos.principal.to.local.rules", "DEFAULT")
        .per_broker()
        .accepted("How a Kerberos principal becomes a user."),
    unset("sasl.kerberos.service.name", Kind::String).per_broker().accepted("Kerberos name of the service."),
    double("sasl.kerberos.ticket.renew.jitter", "0.05").per_broker().accepted("Randomness of ticket renewal."),
    double("sasl.kerberos.ticket.renew.window.factor", "0.8")
        .per_broker()
        .accepted("Share of a ticket's life after which it is renewed."),
    unset("sasl.login.connect.timeout.ms", Kind::Int).accepted("How long connecting to the token provider may take."),
    unset("sasl.login.read.timeout.ms", Kind::Int).accepted("How long reading from the token provider may take."),
    short("sasl.login.refresh.buffer.seconds", "300")
        .per_broker()
        .accepted("Time before a token's end that is kept free for its refresh."),
    short("sasl.login.refresh.min.period.seconds", "60")
        .per_broker()
        .accepted("Shortest time between two token refreshes."),
    double("sasl.login.refresh.window.factor", "0.8")
        .per_broker()
        .accepted("Share of a token's life after which it is refreshed."),
    double("sasl.login.refresh.window.jitter", "0.05").per_broker().accepted("Randomness of token refresh."),
    long("sasl.login.retry.backoff.ms", "100").accepted("First pause after a failed login."),
    long("sasl.login.retry.backoff.max.ms", "10000").accepted("Longest pause after a failed login."),
    string("sasl.oauthbearer.assertion.algorithm", "RS256")
        .rule(Rule::OneOfAnyCase(&["ES256", "RS256"]))
        .accepted("Signature of the login assertion."),
    unset("sasl.oauthbearer.assertion.claim.aud", Kind::String).accepted("Audience of the login assertion."),
    int("sasl.oauthbearer.assertion.claim.exp.seconds", "300")
        .rule(Rule::Between(0, 86_400))
        .accepted("Life of the login assertion."),
    unset("sasl.oauthbearer.assertion.claim.iss", Kind::String).accepted("Issuer of the login assertion."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include", "false")
        .accepted("Whether the login assertion carries a unique id."),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds", "60")
        .rule(Rule::Between(0, 3600))
        .accepted("How far back the login assertion is valid."),
    unset("sasl.oauthbearer.assertion.claim.sub", Kind::String).accepted("Subject of the login assertion."),
    unset("sasl.oauthbearer.assertion.file", Kind::String).accepted("File of a ready-made login assertion."),
    unset("sasl.oauthbearer.assertion.private.key.file", Kind::String)
        .accepted("File of the key that signs the login assertion."),
    unset("sasl.oauthbearer.assertion.private.key.passphrase", Kind::Password).accepted("Passphrase of that key."),
    unset("sasl.oauthbearer.assertion.template.file", Kind::String)
        .accepted("File of more claims for the login assertion."),
    unset("sasl.oauthbearer.client.credentials.client.id", Kind::String).accepted("Client id at the token provider."),
    unset("sasl.oauthbearer.client.credentials.client.secret", Kind::Password)
        .accepted("Client secret at the token provider."),
    int("sasl.oauthbearer.clock.skew.seconds", "30").accepted("Difference of clocks that a token may show."),
    list("sasl.oauthbearer.expected.audience", "").accepted("Audiences a token may name."),
    unset("sasl.oauthbearer.expected.issuer", Kind::String).accepted("Issuer a token has to name."),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms", "3600000").accepted("How often the signing keys are read again."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", "100").accepted("First pause after that failed."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", "10000").accepted("Longest pause after that failed."),
    unset("sasl.oauthbearer.jwks.endpoint.url", Kind::String).accepted("Where the signing keys are."),
    class("sasl.oauthbearer.jwt.retriever.class", "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .accepted("Java class that gets tokens."),
    class("sasl.oauthbearer.jwt.validator.class", "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .accepted("Java class that checks tokens."),
    unset("sasl.oauthbearer.scope", Kind::String).accepted("Scope that is asked for."),
    string("sasl.oauthbearer.scope.claim.name", "scope").accepted("Claim that holds the scope."),
    string("sasl.oauthbearer.sub.claim.name", "sub").accepted("Claim that holds the subject."),
    unset("sasl.oauthbearer.token.endpoint.url", Kind::String).accepted("Where tokens come from."),
    unset("delegation.token.secret.key", Kind::Password).accepted("Secret that signs delegation tokens."),
    long("delegation.token.max.lifetime.ms", "604800000").at_least(1).accepted("Longest life of a delegation token."),
    long("delegation.token.expiry.time.ms", "86400000")
        .at_least(1)
        .accepted("Life of a delegation token until it is renewed."),
    long("delegation.token.expiry.check.interval.ms", "3600000")
        .at_least(1)
        .accepted("How often expired delegation tokens are looked for."),
];
