// An OpenID provider whose keys can be changed while it serves: `oidc-provider`,
// with the client credentials grant and JWT access tokens (RFC 9068).
//
// Usage: oidc_provider.mjs AUDIENCE
// It prints a line of JSON, {"issuer", "jwks_uri"}, and then answers each line of
// its input with a line of its own. A line may have
//   "keys": [{"kid", "alg"}, ...]  the keys that it publishes from now on; the
//                                  first signs. One that is new is made
//   "secret": "..."                what it signs with instead (HS256)
//   "down": true or false          whether its JWKS can be had
//   "tokens": 3                    how many tokens a client is to get now
// The answer is {"fetches", "tokens"}: how often it has been asked for its JWKS, and
// the tokens. It ends with its input.

import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPair } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { argv, stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import Provider from 'oidc-provider';

const [, , audience] = argv;
const CLIENT = { id: 'payments', secret: 'only-for-this-test' };
const ALGORITHMS = [
    ...['ES256', 'ES384', 'EdDSA', 'Ed25519'],
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
];
const generate = promisify(generateKeyPair);
// The provider's notices are no answers.
console.info = console.error;

const made = new Map();
let serve;
let down = false;
let fetches = 0;

async function pair(alg) {
    if (alg.startsWith('ES')) return generate('ec', { namedCurve: `P-${alg.slice(2)}` });
    if (alg.startsWith('Ed')) return generate('ed25519');
    return generate('rsa', { modulusLength: 2048 });
}

async function key({ kid, alg }) {
    if (!made.has(kid)) {
        const { privateKey } = await pair(alg);
        made.set(kid, { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
    }
    return made.get(kid);
}

function provider(keys, sign) {
    return new Provider(issuer, {
        clients: [
            {
                client_id: CLIENT.id,
                client_secret: CLIENT.secret,
                grant_types: ['client_credentials'],
                redirect_uris: [],
                response_types: [],
                id_token_signed_response_alg: keys[0].alg,
            },
        ],
        jwks: { keys },
        enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
        extraTokenClaims: () => ({ realm_access: { roles: ['admin'] } }),
        features: {
            clientCredentials: { enabled: true },
            devInteractions: { enabled: false },
            resourceIndicators: {
                enabled: true,
                getResourceServerInfo: () => ({
                    scope: '',
                    audience,
                    accessTokenTTL: 24 * 60 * 60,
                    accessTokenFormat: 'jwt',
                    jwt: { sign },
                }),
            },
        },
    }).callback();
}

// As a client outside gets one.
async function token() {
    const credentials = Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64');
    const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${credentials}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: 'urn:keygate' }),
    });
    const { access_token: text, ...rest } = await response.json();
    assert.ok(text, JSON.stringify(rest));
    return text;
}

const server = createServer((request, response) => {
    if (request.url === '/jwks') {
        fetches += 1;
        if (down) {
            response.writeHead(503).end();
            return;
        }
    }
    serve(request, response);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
let keys = [await key({ kid: 'first', alg: 'ES256' })];
serve = provider(keys, { alg: keys[0].alg, kid: keys[0].kid });
const say = (it) => stdout.write(`${JSON.stringify(it)}\n`);
say({ issuer, jwks_uri: `${issuer}/jwks` });

for await (const line of createInterface({ input: stdin })) {
    const wanted = JSON.parse(line);
    if (wanted.keys) {
        keys = [];
        for (const it of wanted.keys) keys.push(await key(it));
        serve = provider(keys, { alg: keys[0].alg, kid: keys[0].kid });
    }
    if (wanted.secret) {
        serve = provider(keys, { alg: 'HS256', key: createSecretKey(wanted.secret, 'utf8') });
    }
    down = wanted.down ?? down;
    const tokens = [];
    while (tokens.length < (wanted.tokens ?? 0)) tokens.push(await token());
    say({ fetches, tokens });
}
server.close();
server.closeAllConnections();
