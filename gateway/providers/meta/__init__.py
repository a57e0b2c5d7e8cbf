"""Meta: the webhooks of WhatsApp and Messenger, and what their Graph API is asked to send."""
