//! A small clinical document that the demo makes itself: HL7 CDA R2, level 1 (a full header, a body of plain text).

/// What goes into the document.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The document's own identifier below [`DEMO_ROOT`].
    pub(crate) id: &'a str,
    /// Its title.
    pub(crate) title: &'a str,
    /// When it was written, in seconds since 1970.
    pub(crate) written: u64,
    /// The patient's identifier below [`DEMO_ROOT`], given name, family name and birth date (`YYYYMMDD`).
    pub(crate) patient: Patient<'a>,
    /// The author's given and family name.
    pub(crate) author: (&'a str, &'a str),
    /// The organisation that keeps the document.
    pub(crate) custodian: &'a str,
    /// The body.
    pub(crate) text: &'a str,
}

/// Whom the document is about.
#[derive(Debug)]
pub(crate) struct Patient<'a> {
    /// An identifier below [`DEMO_ROOT`].
    pub(crate) id: &'a str,
    /// The given name.
    pub(crate) given: &'a str,
    /// The family name.
    pub(crate) family: &'a str,
    /// The birth date, `YYYYMMDD`.
    pub(crate) born: &'a str,
}

/// The object identifier under which the demo numbers things: that of the example UUID in ITU-T X.667, so it is nobody's.
const DEMO_ROOT: &str = "2.25.329800735698586629295641978511506172918";

impl Report<'_> {
    /// The document as UTF-8 XML. Everything that is put in is escaped.
    pub(crate) fn to_xml(&self) -> String {
        let written = timestamp(self.written);
        let [id, title, custodian, text] = [self.id, self.title, self.custodian, self.text].map(escaped);
        let [patient, given, family, born] =
            [self.patient.id, self.patient.given, self.patient.family, self.patient.born].map(escaped);
        let [author_given, author_family] = [self.author.0, self.author.1].map(escaped);
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <id root="{DEMO_ROOT}" extension="{id}"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summarization of Episode Note"/>
  <title>{title}</title>
  <effectiveTime value="{written}"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="en-GB"/>
  <recordTarget>
    <patientRole>
      <id root="{DEMO_ROOT}" extension="{patient}"/>
      <patient>
        <name><given>{given}</given><family>{family}</family></name>
        <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
        <birthTime value="{born}"/>
      </patient>
    </patientRole>
  </recordTarget>
  <author>
    <time value="{written}"/>
    <assignedAuthor>
      <id root="{DEMO_ROOT}" extension="author"/>
      <assignedPerson><name><given>{author_given}</given><family>{author_family}</family></name></assignedPerson>
    </assignedAuthor>
  </author>
  <custodian>
    <assignedCustodian>
      <representedCustodianOrganization>
        <id root="{DEMO_ROOT}" extension="custodian"/>
        <name>{custodian}</name>
      </representedCustodianOrganization>
    </assignedCustodian>
  </custodian>
  <component>
    <nonXMLBody>
      <text mediaType="text/plain">{text}</text>
    </nonXMLBody>
  </component>
</ClinicalDocument>
"#
        )
    }
}

/// Text for an XML element or attribute. Characters that XML 1.0 cannot hold at all become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' => escaped.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// HL7's timestamp in UTC, `YYYYMMDDhhmmss+0000`.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}+0000", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar: whole years and months are taken off.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(timestamp(0), "19700101000000+0000");
        assert_eq!(timestamp(951_782_400), "20000229000000+0000");
        assert_eq!(timestamp(1_709_251_199), "20240229235959+0000");
        assert_eq!(timestamp(1_798_761_599), "20261231235959+0000");
        assert_eq!(timestamp(4_107_542_400), "21000301000000+0000");
    }

    #[test]
    fn what_is_put_in_stays_text() {
        let hostile = "a<b>&\"'\u{1}\u{0}é";
        assert_eq!(escaped(hostile), "a&lt;b&gt;&amp;&quot;&apos;\u{fffd}\u{fffd}é");
        let report = Report {
            id: hostile,
            title: hostile,
            written: 0,
            patient: Patient { id: hostile, given: hostile, family: hostile, born: "19410203" },
            author: (hostile, hostile),
            custodian: hostile,
            text: hostile,
        };
        let xml = report.to_xml();
        assert_eq!(xml.matches("a&lt;b&gt;").count(), 9, "every field is there, escaped");
        assert!(!xml.contains("a<b"));
        assert_eq!(xml.matches('<').count(), xml.matches('>').count());
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1).filter_map(|part| part.split('>').next()) {
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "elements close in order");
            } else if !tag.ends_with(['/', '?']) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?} stays open");
    }
}
