//! What the three professionals write.

use std::time::{SystemTime, UNIX_EPOCH};

use super::DemoError;
use super::cda::{DischargeSummary, Patient};
use super::professional::Draft;

/// The patient of the report.
pub(super) const PATIENT: Patient<'static> =
    Patient { matricule: "241023155512304", given: "Jeanne", family: "Aubert-Lefèvre", born: "19410203" };

/// A mail without attachment, not addressed yet.
pub(super) fn mail(subject: &str, body: &str) -> Draft {
    Draft {
        to: Vec::new(),
        cc: Vec::new(),
        subject: subject.to_owned(),
        body: body.to_owned(),
        attachment: None,
        answers: None,
    }
}

/// The mail with the report.
pub(super) fn with_report() -> Result<Draft, DemoError> {
    let summary = DischargeSummary {
        written: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        patient: PATIENT,
        author: ("Claire", "Martin"),
        custodian: "Clinic",
        text: "Admitted for atrial fibrillation with a rapid ventricular response (>130/min), now in sinus rhythm.\n\
               Potassium 3.4 & magnesium 0.68 mmol/l on admission, both corrected.\n\
               Treatment on discharge: bisoprolol 2.5 mg in the morning, apixaban 5 mg twice a day.\n\
               Follow-up: ECG and creatinine within <10 days; please call if the pulse at rest stays over 110.\n",
    };
    let xml = summary.to_xml().map_err(|error| DemoError::Broken(format!("the clinical document: {error}")))?;
    let attachment = ("discharge-aubert.xml".to_owned(), xml);
    let body = format!(
        "Dear Karim,\n\nMrs {} {} leaves the ward tomorrow before noon. The summary is attached; apixaban was\n\
         started yesterday evening, so no heparin any more, s'il te plaît.\n\nThank you for last night.\nClaire\n",
        PATIENT.given, PATIENT.family
    );
    Ok(Draft { attachment: Some(attachment), ..mail("Discharge summary for tomorrow", &body) })
}

/// From the secretary.
pub(super) const APPOINTMENTS: &str = "Bonjour Claire,\n\nMr Durand came forward to 08:40, and the echocardiography of Mrs Nguyễn is now on Friday at 14:15\n\
    in room 3. The others stay as they were.\n\nLucie\n";
/// From the nurse, while the server is down.
pub(super) const WHILE_DOWN: &str = "Bed 12 has 38.9 °C and a pressure of 88/50 after 500 ml. Cultures are drawn, lactate is 2.8.\n\
    I start the second litre and call you if it stays there.\n";
/// The nurse's answer to the report.
pub(super) const REPLY: &str = "Understood: no heparin, apixaban at eight and at eight. The patches were changed at five.\n\n\
    > leaves the ward tomorrow before noon\n\nThe daughter comes at eleven with her clothes.\nKarim\n";
/// To two people.
pub(super) const TRANSPORT: &str =
    "The ambulance comes to the east gate at ten; wheelchair, one escort, oxygen not needed. The form is signed.\n";

/// One of several short mails that differ.
pub(super) fn observations(number: usize) -> String {
    format!(
        "Round {number} at 0{number}:30, bay {number}: pulse {}, saturation {} %, pain {number}/10, slept in between.\n",
        70 + number,
        93 + number
    )
}
