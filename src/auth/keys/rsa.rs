//! RSA keys that are strong enough to trust.

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};

use crate::auth::Algorithm;

const ALGORITHMS: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// Reads a key, for each of the algorithms that are wanted.
pub(super) fn parse(
    n: &[u8],
    e: &[u8],
    wanted: impl Fn(Algorithm) -> bool,
) -> Result<Vec<(Algorithm, ParsedPublicKey)>, String> {
    // Some issuers write a leading zero, as ASN.1 would have it.
    let (n, e) = (trimmed(n), trimmed(e));
    let bits = n
        .first()
        .map_or(0, |it| n.len() * 8 - it.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(format!(
            "its modulus has {bits} bits; 2048 to 8192 are accepted"
        ));
    }
    if e.len() > 4 || e == [1] || e.last().is_none_or(|it| it % 2 == 0) {
        return Err("its exponent is not one that is accepted".to_owned());
    }
    if is_roca(n) {
        return Err(
            "its private part can be computed from it (ROCA, CVE-2017-15361); replace it"
                .to_owned(),
        );
    }
    let components = RsaPublicKeyComponents { n, e };
    let wanted = ALGORITHMS.iter().filter(|(it, _)| wanted(*it));
    wanted
        .map(|(algorithm, parameters)| {
            let key = components.to_parsed_public_key(parameters);
            Ok((*algorithm, key.map_err(|_| "it is not an RSA key")?))
        })
        .collect()
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|it| **it == 0).count();
    &number[zeros..]
}

/// Whether a modulus was made by the broken generator of some Infineon chips. Its
/// primes are powers of 65537 modulo many small primes, and so is their product;
/// of other moduli one in 200 million is.
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = n
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65537 % prime;
            power == rest
        })
    })
}
