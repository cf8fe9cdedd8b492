"""Prints the parts that cloud-init finds in the user data of a file: type, name and text, as JSON."""

import json
import sys

from cloudinit import user_data, util

processor = user_data.UserDataProcessor({})
with open(sys.argv[1], "rb") as file:
    message = processor.process(file.read())
found = []
for part in message.walk():
    if part.get_content_maintype() == "multipart":
        continue
    text = util.decode_binary(util.fully_decoded_payload(part))
    found.append([part.get_content_type(), part.get_filename(), text])
print(json.dumps(found))
