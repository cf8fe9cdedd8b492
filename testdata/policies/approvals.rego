# Boots only what two teams approved: `metadata confirm --run-metadata 'approved by TEAM'`, and a signature over it all, since
# without one whoever has the image can attach what they like.
package metadata

teams := {"operations", "release", "security"}

approvals contains team if {
	some string in input.run.user_provided_metadata
	some team in teams
	string == concat(" ", ["approved by", team])
}

default allow := false

allow if {
	input.signature != null
	count(approvals) >= 2
}

sample if count(approvals) > 0
