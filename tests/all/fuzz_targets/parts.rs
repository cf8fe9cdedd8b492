//! User data of several parts: MIME documents, archives and gzip data in one another. The input is one.

use metadata_image::{
    check::{Subject, check_whole},
    datasource::layout::Layout,
    userdata::schema::Rules,
};

use super::places::check_places;

/// The most parts of a text that are checked, and the text itself.
const TEXTS_MAX: usize = 1000 + 1;

pub(crate) fn run(data: &[u8]) {
    let headers: [&[u8]; 3] = [b"", b"MIME-Version: 1.0\n", b"#cloud-config-archive\n"];
    for header in headers {
        let data = [header, data].concat();
        let texts = check_whole(&data, Subject::UserData(Some(Layout::NoCloud)), None, &Rules::default());
        assert!(texts.len() <= TEXTS_MAX, "{} texts", texts.len());
        assert!(texts[0].name.is_none() && texts[1..].iter().all(|text| text.name.is_some()));
        texts.iter().for_each(check_places);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: text/cloud-config\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a\"\n\nYTogWwo=\n--x\nContent-Type: multipart/mixed;\n boundary=y\n\n--y\nContent-Transfer-Encoding: quoted-printable\n\n#!/bin/sh=0A\n--y--\n--x--\n",
        "Content-Type: text/cloud-config-archive\n\n- '#!/bin/sh'\n- {type: text/cloud-config, content: \"a: [\"}\n",
        "- type: text/cloud-config\n  content: |\n    users: 1\n- '#!/bin/sh'\n- |\n  #cloud-config-archive\n  - x\n",
        "#include\nhttp://192.0.2.1/\n",
        "#cloud-boothook\n#!/bin/sh\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    // "#cloud-config\n" as gzip makes it of nothing but stored bytes.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 14, 0, 241, 255];
    gzip.extend(b"#cloud-config\n");
    gzip.extend([0; 8]);
    seeds.push(gzip);
    seeds
}
