# Boots only what the release team signed. It needs an agent with --allowed-signers, without which there is no signature
# to see, and nothing boots.
package metadata

default allow := false

allow if input.signature.identity == "release@example.com"

sample := true
