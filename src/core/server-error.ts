/** An error as the server stores it on a message or sends it in `session.error`. */
export type ServerErrorInfo =
  | { name: 'ProviderAuthError'; data: { providerID: string; message: string } }
  | { name: 'UnknownError'; data: { message: string; ref?: string } }
  | { name: 'MessageOutputLengthError'; data: Record<string, unknown> }
  | { name: 'MessageAbortedError'; data: { message: string } }
  | { name: 'StructuredOutputError'; data: { message: string; retries: number } }
  | { name: 'ContextOverflowError'; data: { message: string; responseBody?: string } }
  | { name: 'ContentFilterError'; data: { message: string } }
  | ApiErrorInfo;

/** The model provider refused or failed. */
export interface ApiErrorInfo {
  name: 'APIError';
  data: {
    message: string;
    statusCode?: number;
    isRetryable: boolean;
    responseHeaders?: Record<string, string>;
    responseBody?: string;
    metadata?: Record<string, string>;
  };
}
