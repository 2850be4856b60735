// Whether this mailbox may send mail that Medipeps does not protect. The build says so, so that no setting of a person's can.

declare const __PLAIN_MAIL__: boolean;

/** `--plain-mail` of the build. Without it nothing but a stub leaves. */
export const PLAIN_MAIL: boolean = __PLAIN_MAIL__;
